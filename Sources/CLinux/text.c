#define _GNU_SOURCE
#include "CLinuxEvents.h"
#include "CLinuxProcess.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static void release_own_text(void) {
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

// In C from end to end: where the page cache is in large pieces, every other place in the code that this thread touched
// afterwards would bring 2 MiB back.
static void release_after_a_while(void *unused) {
    (void)unused;
    const struct timespec half_a_second = {0, 500000000};
    nanosleep(&half_a_second, NULL);
    release_own_text();
}

int clinux_release_own_text_soon(void) { return clinux_thread_start("text", release_after_a_while, NULL); }
