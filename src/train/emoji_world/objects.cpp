#include "train/emoji_world/objects.h"

#include <span>
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

// Objects behind those, for who wants more names (WorldOptions::further).
constexpr Group kFurther[] = {
    {Category::animal, U"🦘🦥🦦🦨🦕🐡🦞🕷🐛"},
    {Category::fruit, U"🥝🥥"},
    {Category::food, U"🌰🍙🥮🍤🍡🥟🧁"},
    {Category::drink, U"🍼🫖"},
    {Category::sky, U"⛄☄"},
    {Category::vehicle, U"🛹🛵🛴"},
    {Category::clothing, U"👜💄🩰"},
    {Category::instrument, U"🪕"},
    {Category::sport, U"🏈🏓🏸🎿"},
    {Category::tool, U"🩺🩹🧪🧭"},
    {Category::thing, U"🧵🧶📣🖨⌨🎥🧻🪣🧼🧽🧯🗿🚽🚿🪞🗺⌚"},
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
    {U'🦕', "brontosaurus", "브론토사우루스"},
    {U'⛄', "snowman", "눈사람"},
    {U'🩰', "ballet shoe", "발레화"},
    {U'🏈', "american football", "미식축구공"},
    {U'🎿', "ski", "스키"},
    {U'⌚', "watch", "손목시계"},
    {U'🗺', "map", "지도"},
    {U'🧻', "toilet paper", "화장지"},
    {U'🛴', "scooter", "킥보드"},
    {U'🛵', "moped", "스쿠터"},
};

std::vector<ObjectEntry> entries_of(std::span<const Group> groups) {
  std::vector<ObjectEntry> table;
  for (const Group& group : groups) {
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

}  // namespace

std::vector<ObjectEntry> emoji_object_table(bool further) {
  std::vector<ObjectEntry> table = entries_of(kGroups);
  if (further)
    for (const ObjectEntry& entry : entries_of(kFurther)) table.push_back(entry);
  return table;
}

CategoryWords category_words(Category category) {
  switch (category) {
    case Category::animal:
      return {"animal", "동물"};
    case Category::fruit:
      return {"fruit", "과일"};
    case Category::vegetable:
      return {"vegetable", "채소"};
    case Category::food:
      return {"food", "음식"};
    case Category::drink:
      return {"drink", "음료"};
    case Category::plant:
      return {"plant", "식물"};
    case Category::building:
      return {"building", "건물"};
    case Category::vehicle:
      return {"vehicle", "탈것"};
    case Category::clothing:
      return {"piece of clothing", "옷차림"};
    case Category::instrument:
      return {"musical instrument", "악기"};
    case Category::tool:
      return {"tool", "도구"};
    case Category::sky:
    case Category::sport:
    case Category::thing:
      return {};
  }
  return {};
}

}  // namespace nuri
