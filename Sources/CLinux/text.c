#define _GNU_SOURCE
#include "CLinuxProcess.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

void clinux_release_own_text(void) {
    const ElfW(Phdr) *headers = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    unsigned long count = getauxval(AT_PHNUM);
    if (!headers) return;
    uintptr_t base = 0;
    for (unsigned long i = 0; i < count; i++)
        if (headers[i].p_type == PT_PHDR) base = (uintptr_t)headers - headers[i].p_vaddr;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (unsigned long i = 0; i < count; i++) {
        // Never what can have been written: dropped pages of that come back as they are in the file.
        if (headers[i].p_type != PT_LOAD || !(headers[i].p_flags & PF_X) || headers[i].p_flags & PF_W) continue;
        uintptr_t start = (base + headers[i].p_vaddr) & ~(page - 1);
        uintptr_t end = base + headers[i].p_vaddr + headers[i].p_filesz;
        // Else the first call back into it maps 2 MiB again where the page cache is in large pieces.
        madvise((void *)start, end - start, MADV_NOHUGEPAGE);
        madvise((void *)start, end - start, MADV_DONTNEED);
    }
}
