#pragma once

#include <vector>

namespace nuri {

enum class Category {
  animal,
  fruit,
  vegetable,
  food,
  drink,
  plant,
  sky,
  building,
  vehicle,
  clothing,
  instrument,
  sport,
  tool,
  thing,
};

// One kind of object of the emoji world: its code point (CLDR writes emoji without U+FE0F) and, where CLDR's
// spoken name is long or odd, the name to use instead: one of CLDR's keywords, or a part of the spoken name.
struct ObjectEntry {
  char32_t code;
  Category category;
  const char* name_en = "";  // empty: CLDR's spoken name
  const char* name_ko = "";
};

// The committed choice: concrete things that look unlike one another at 30 pixels and have short, distinct names
// in both languages. Its order is the objects' numbering. `further`: with those that the bundled emoji-world was not
// taught, behind the others.
std::vector<ObjectEntry> emoji_object_table(bool further = false);

// What a category is called; empty: by no everyday word.
struct CategoryWords {
  const char* english = "";
  const char* korean = "";
};
CategoryWords category_words(Category category);

}  // namespace nuri
