#include "train/emoji_world/objects.h"

#include <string_view>

namespace nuri {
namespace {

struct Group {
  Category category;
  std::u32string_view codes;
};

constexpr Group kGroups[] = {
    {Category::animal,
     U"🐒🦍🐕🐺🦊🦝🐈🦁🐅🐎🦄🦓🦌🐄🐖🐑🐪🦙🦒🐘🦛🐁🐹🐇🐿🦔🦇🐻🐨🐼🐔🐤🐦🐧🦅🦆🦢🦉🦩🦚"
     U"🦜🐸🐊🐢🐍🐉🦖🐳🐬🐟🐠🦈🐙🦑🦀🦐🐌🦋🐜🐝🐞🦂"},
    {Category::fruit, U"🍇🍈🍉🍊🍋🍌🍍🍎🍐🍑🍒🍓🫐"},
    {Category::vegetable, U"🍅🥑🍆🥔🥕🌽🌶🥒🥦🧄🧅🍄"},
    {Category::food, U"🥜🍞🥐🥖🥨🥞🧇🧀🍗🍔🍟🍕🌭🥪🌮🥚🥗🍿🍜🍣🍦🍩🍪🎂🥧🍫🍬🍭🍯"},
    {Category::drink, U"🥛☕🍷🍺🧋"},
    {Category::plant, U"🌲🌴🌵☘🍁🌷🌸🌹🌺🌻💐"},
    {Category::sky, U"🌋🌍🌙☀⭐☁⚡❄🔥💧🌊🌈🪐🌪"},
    {Category::building, U"🏠🏭🏰🗼🗽⛪⛩⛺🎡⛲"},
    {Category::vehicle, U"🚂🚌🚑🚒🚓🚕🚗🚜🏎🏍🚲⛵🛶🚤🚢✈🚁🚀🛸"},
    {Category::clothing, U"👓🕶👔👕👖🧣🧤🧦👗👘👟👠👢👑👒🎩🧢"},
    {Category::instrument, U"🎷🪗🎸🎹🎺🎻🥁"},
    {Category::sport, U"⚽⚾🏀🏐🎾🎳🥊🎯⛸"},
    {Category::tool, U"🔨🪓🗡🏹🛡🪚🔧⚙🧲🪜🔬🔭💉💊✂📎📏✏🔍🔦🕯💡🔑"},
    {Category::thing,
     U"🎈🎁🎀🏆🧳⌛⏰🌡🪁🔮🎮🎲🧩🧸🎭🎨🎒💍💎🔔🎤📻📱☎🔋💻📺📷🏮📖💰✉📦🗑🚪🛏🛋🪑🛁🧹"
     U"⚓🚦🛑🎃🎄☂👻👽🤖💀❤🧠🦷🦴🍴🥄"},
};

struct Naming {
  char32_t code;
  const char* name_en;
  const char* name_ko;
};

constexpr Naming kNamings[] = {
    {U'🦛', "hippo", ""},
    {U'🐿', "squirrel", "다람쥐"},
    {U'🐤', "chick", ""},
    {U'🦖', "", "티렉스"},
    {U'🐳', "whale", "고래"},
    {U'🐞', "ladybug", ""},
    {U'🐑', "sheep", ""},
    {U'🐝', "bee", ""},
    {U'🍎', "apple", "사과"},
    {U'🌽', "corn", ""},
    {U'🌶', "pepper", "고추"},
    {U'🥖', "baguette", ""},
    {U'🧀', "cheese", "치즈"},
    {U'🍗', "drumstick", ""},
    {U'🍟', "fries", ""},
    {U'🥗', "salad", "샐러드"},
    {U'🍜', "noodle", ""},
    {U'🍦', "ice cream", "아이스크림"},
    {U'🎂', "cake", "케이크"},
    {U'🍫', "chocolate", ""},
    {U'🍯', "honey", ""},
    {U'🥛', "milk", "우유"},
    {U'☕', "coffee", "커피"},
    {U'🍷', "wine", "와인"},
    {U'🍺', "beer", ""},
    {U'🌲', "evergreen", ""},
    {U'🌍', "globe", "지구"},
    {U'🌙', "moon", "달"},
    {U'⚡', "lightning", "번개"},
    {U'🌊', "wave", ""},
    {U'🪐', "saturn", "토성"},
    {U'🗼', "tower", "타워"},
    {U'🗽', "statue", "여신상"},
    {U'⛩', "shrine", "신사"},
    {U'🏰', "", "성"},
    {U'🏎', "", "레이싱카"},
    {U'👟', "sneaker", ""},
    {U'👢', "boot", ""},
    {U'👒', "hat", "모자"},
    {U'🎩', "", "마술사 모자"},
    {U'🧢', "cap", "야구모자"},
    {U'🎹', "piano", ""},
    {U'🥊', "", "글러브"},
    {U'🎯', "target", "과녁"},
    {U'⛸', "", "스케이트"},
    {U'🏹', "bow", "활"},
    {U'🪚', "saw", "톱"},
    {U'📏', "ruler", ""},
    {U'🔍', "magnifying glass", "돋보기"},
    {U'🎁', "gift", ""},
    {U'⌛', "hourglass", "모래시계"},
    {U'⏰', "clock", "시계"},
    {U'🎮', "controller", "게임패드"},
    {U'🎲', "dice", ""},
    {U'🧩', "puzzle", ""},
    {U'🧸', "", "곰인형"},
    {U'🎭', "mask", ""},
    {U'🎨', "palette", ""},
    {U'🎒', "", "가방"},
    {U'💎', "gem", "보석"},
    {U'📱', "", "휴대폰"},
    {U'🏮', "lantern", "홍등"},
    {U'📖', "book", "책"},
    {U'🛋', "couch", "소파"},
    {U'🚦', "traffic light", "신호등"},
    {U'🎄', "", "트리"},
    {U'🎃', "", "할로윈 호박"},
    {U'❤', "heart", "하트"},
    {U'🍴', "fork", "포크"},
    {U'🚗', "car", ""},
    {U'🏀', "", "농구공"},
};

}  // namespace

std::vector<ObjectEntry> emoji_object_table() {
  std::vector<ObjectEntry> table;
  for (const Group& group : kGroups) {
    for (char32_t code : group.codes) {
      ObjectEntry entry{code, group.category};
      for (const Naming& naming : kNamings) {
        if (naming.code == code) {
          entry.name_en = naming.name_en;
          entry.name_ko = naming.name_ko;
        }
      }
      table.push_back(entry);
    }
  }
  return table;
}

}  // namespace nuri
