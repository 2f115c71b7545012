#include "cli/cli.h"

int main(int count, char** arguments) { return nuri::cli::run(count, arguments); }
