#pragma once

#include "base/config_reader.h"

namespace nuri {

// Reads a table of which every key must be known: `read(table)` gives what it holds. Throws Error(usage) for a key that
// `read` does not ask for; `name` is the table's in the message. It is read a second time, alone, so that only its own
// keys count.
template <class Read>
auto read_own_table(const ConfigReader& table, std::string_view name, Read&& read) {
  auto made = read(table);
  ConfigReader alone(table.json(), table.file() + ": " + std::string(name));
  read(alone);
  alone.refuse_unknown_keys();
  return made;
}

}  // namespace nuri
