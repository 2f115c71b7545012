#pragma once

#include <filesystem>
#include <optional>

#include "models/internvl/config.h"

namespace nuri {

// config.json of InternVLChatModel, or of NVLM_D, with the defaults of their InternVLChatConfig or NVLM_D_Config and
// InternVisionConfig. The id of the
// image token does not stand in it, but in the tokenizer files of its folder.
InternvlConfig parse_internvl_chat_config(const ConfigReader& config);

// The id of an added token by the tokenizer files of `folder`.
std::optional<int64_t> added_token(const std::filesystem::path& folder, std::string_view token);

// Whether a configuration calls its model so, by `architectures` or, without it, by `model_type`.
bool is_form(const ConfigReader& config, std::string_view architecture, std::string_view type);

// What both forms spell alike.
bool read_norm_type(const ConfigReader& config, const char* fallback);      // whether rms_norm
int64_t read_shrink(const ConfigReader& config, int64_t patches_per_side);  // of downsample_ratio

}  // namespace nuri
