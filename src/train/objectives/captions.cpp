#include "train/objectives/captions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

namespace nuri {

std::string caption_of(const EmojiWorld& world, const Scene& scene, Language language) {
  std::vector<std::string> names;
  for (const auto& placed : scene.objects) names.push_back(world.objects()[placed.object].name(language));
  if (scene.word) names.push_back("\"" + scene.word->text + "\"");
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace nuri
