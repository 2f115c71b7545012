#pragma once

#include "text/jinja/ast.h"

namespace nuri::jinja {

// Gives every name of the tree its place, by the rules of Jinja's idtracking: a template, loop body, macro,
// call, filter, set and with block is a scope; an if is none; what a scope sets stays inside; a variable that
// a scope both reads and sets starts with the outer value. Also looks up filters and tests, and refuses
// unknown ones and a break outside of loops. Throws SyntaxFailure.
void resolve_names(TemplateTree& tree);

}  // namespace nuri::jinja
