#pragma once

#include <stdint.h>

// Network namespaces and interfaces, without a process for each step. All return 0 or -errno.

/// Moves the calling thread into a new network namespace, and keeps that alive by a file, which must not exist.
/// The thread stays inside: it has to end afterwards.
int clinux_network_namespace_make(const char *file);
/// Moves the calling thread into the namespace of a file. The thread has to end afterwards.
int clinux_network_namespace_enter(const char *file);

int clinux_interface_raise(const char *name);
int clinux_interface_set_hardware_address(const char *name, const uint8_t address[6]);

/// Makes the hardware address of a neighbour known for good, whatever anybody answers to the question for it.
/// @param address IPv4, in the byte order of this machine.
int clinux_neighbour_pin(const char *interface, uint32_t address, const uint8_t hardware[6]);
