#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "train/emoji_world/world.h"

namespace nuri {

// English: "a cat", "an owl"; "grapes" and "bread" go without an article.
std::string with_article(const std::string& word);
// "cats", "cherries", "sheep"; words for stuff ("bread") stay as they are.
std::string plural_of(const std::string& word);
bool is_plural(const std::string& word);
bool is_stuff(const std::string& word);  // a word that is not counted: "How many pictures of bread ..."

// Korean: whether the last syllable has a final consonant, on which the particles hang.
bool has_final_consonant(std::string_view word);
// particle is the form after a consonant: 은, 이, 을, 과, 이라는.
std::string with_particle(const std::string& word, std::string_view particle);

std::string number_word(int number, Language language);  // one ... nine; 하나 ... 아홉

// Fills "{x}" with the word of that letter, "{x:a}" with its article, "{x:s}" in the plural, "{x:be}" with "is" or
// "are", "{x:do}" with "does" or "do", "{x:은}" (or another particle) with the particle that fits.
std::string fill_phrase(std::string_view phrase, std::initializer_list<std::pair<char, std::string>> words);

}  // namespace nuri
