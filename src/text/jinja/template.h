#pragma once

#include <memory>
#include <string>

#include "base/config_reader.h"
#include "text/jinja/interpreter.h"

namespace nuri::jinja {

// A compiled Jinja template, in the dialect of transformers' chat templates: ImmutableSandboxedEnvironment
// with trim_blocks, lstrip_blocks, loop controls and generation blocks (Jinja 3.1; transformers 5).
class Template {
 public:
  // `name` stands in messages. Throws Error(format) "name:line: ..." for what is no template, and
  // Error(resource) for one that is too big.
  Template(const std::string& source, std::string name);
  Template(Template&&) noexcept = default;
  Template& operator=(Template&&) noexcept = default;

  // `variables`: an object. Throws Error with "name:line: ...": format for mistakes of the template, usage
  // for raise_exception, resource past a limit, unsupported for what this interpreter cannot do.
  std::string render(const Json& variables, const Limits& limits, const Interpreter::Clock& clock) const;

 private:
  std::string name_;
  std::unique_ptr<TemplateTree> tree_;
};

}  // namespace nuri::jinja
