// Precompiled for the verbs: what the floors without torch have, and the parser of their flags.
#include "pch_plain.h"

#include <CLI/CLI.hpp>
