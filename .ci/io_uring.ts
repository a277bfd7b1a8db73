// Bun: does this kernel let us have an io_uring? Asked apart from the library, so that a bug of the
// library never looks like a kernel that says no.

import { dlopen, FFIType } from "bun:ffi";

const io_uring_setup = 425;
const params_bytes = 120;

const { symbols } = dlopen("libc.so.6", {
  syscall: { args: [FFIType.i64, FFIType.i64, FFIType.ptr], returns: FFIType.i32 },
});
const fd = symbols.syscall(io_uring_setup, 1, new Uint8Array(params_bytes));
console.log(fd >= 0 ? "yes" : "no");
