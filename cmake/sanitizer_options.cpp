// What the sanitizers ask a program of the asan preset for. Being compiled in, the options hold however it is started.

extern "C" {

const char* __asan_default_options() {
  return "detect_leaks=1:strict_string_checks=1:check_initialization_order=1:detect_stack_use_after_return=1:"
         "abort_on_error=0";
}

const char* __ubsan_default_options() { return "print_stacktrace=1"; }

// libtorch and OpenMP keep what they register at the start, and their threads, until the process ends.
const char* __lsan_default_suppressions() {
  return "leak:libtorch_cpu.so\n"
         "leak:libc10.so\n"
         "leak:libgomp";
}
}
