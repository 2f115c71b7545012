#pragma once

#include <string_view>

#include "train/emoji_world/conversation.h"

namespace nuri {

// Whether an answer is right, as strictly as each task allows:
// naming: the same names as often, in any order; counting: the one number in it; relations: the name;
// yes_no: yes or no in the question's language; reading: the word, in either case; boxes: as many boxes as there
// are, each with the expected label and IoU of at least 0.5 with a different one expected; caption: every kind with
// its number as the expected caption says it.
// White space around, a full stop at the end and the case of ASCII letters do not matter.
bool is_right(const Turn& turn, std::string_view answer);

// How many of the expected names (naming) or boxes (boxes) the answer has, each used once; superfluous ones do not
// count. Nothing of nothing for the other tasks.
struct ItemScore {
  int found = 0, expected = 0;
};
ItemScore score_items(const Turn& turn, std::string_view answer);

// The least IoU over the expected boxes, each with its best match in the answer; 0 without a match, and 1 when
// none is expected.
double least_iou(const Turn& turn, std::string_view answer);

}  // namespace nuri
