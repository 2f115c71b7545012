#include "train/assets.h"

#include "base/file.h"

namespace nuri {

namespace fs = std::filesystem;

fs::path assets_folder(const Recipe& recipe, const Stage& stage) { return recipe.stage_folder(stage) / "assets"; }

std::vector<fs::path> make_assets(const Recipe& recipe, const Stage& stage) {
  fs::path folder = assets_folder(recipe, stage);
  fs::create_directories(folder);
  if (!stage.processor.is_null())
    write_file_atomically(folder / "preprocessor_config.json", stage.processor.dump(2) + "\n");
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

}  // namespace nuri
