#include "train/emoji_world/words.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <pugixml.hpp>

#include "base/error.h"
#include "train/emoji_world/utf8.h"

namespace nuri {
namespace {

std::vector<std::string> split_keywords(std::string_view text) {
  std::vector<std::string> keywords;
  while (!text.empty()) {
    const size_t bar = text.find('|');
    std::string_view word = text.substr(0, bar);
    text.remove_prefix(bar == std::string_view::npos ? text.size() : bar + 1);
    while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    if (!word.empty()) keywords.emplace_back(word);
  }
  return keywords;
}

}  // namespace

Annotations read_annotations(const std::filesystem::path& cldr, Language language) {
  const std::filesystem::path file = cldr / "annotations" / (language == Language::english ? "en.xml" : "ko.xml");
  pugi::xml_document document;
  const pugi::xml_parse_result result = document.load_file(file.c_str());
  if (result.status == pugi::status_file_not_found || result.status == pugi::status_io_error) {
    throw Error(ErrorKind::usage, fmt::format("{}: no such file, expected CLDR's annotations of Debian's package "
                                              "unicode-cldr-core",
                                              file.string()));
  }
  if (!result) throw Error(ErrorKind::format, fmt::format("{}: {}", file.string(), result.description()));
  Annotations annotations;
  for (pugi::xml_node node : document.child("ldml").child("annotations").children("annotation")) {
    Annotation& annotation = annotations[node.attribute("cp").value()];
    if (std::string_view(node.attribute("type").value()) == "tts") {
      annotation.spoken = node.child_value();
    } else {
      annotation.keywords = split_keywords(node.child_value());
    }
  }
  return annotations;
}

bool may_stand_for_name(std::string_view keyword, Language language) {
  static const std::set<std::string, std::less<>> kEnglish = {"aeroplane",
                                                              "alpaca",
                                                              "aubergine",
                                                              "automobile",
                                                              "baseball cap",
                                                              "bath",
                                                              "bike",
                                                              "blueberry",
                                                              "bow and arrow",
                                                              "bulb",
                                                              "bullseye",
                                                              "bunny",
                                                              "burger",
                                                              "chipmunk",
                                                              "cogwheel",
                                                              "computer",
                                                              "crescent",
                                                              "donut",
                                                              "dromedary",
                                                              "drop",
                                                              "earth",
                                                              "evergreen tree",
                                                              "ewe",
                                                              "extraterrestrial",
                                                              "eyeglasses",
                                                              "flame",
                                                              "football",
                                                              "fork and knife",
                                                              "frankfurter",
                                                              "glass of milk",
                                                              "glove",
                                                              "grape",
                                                              "hatchet",
                                                              "hippopotamus",
                                                              "home",
                                                              "honeybee",
                                                              "hotcake",
                                                              "jewel",
                                                              "jigsaw",
                                                              "keyboard",
                                                              "lady beetle",
                                                              "ladybird",
                                                              "letter",
                                                              "loaf",
                                                              "maize",
                                                              "maple",
                                                              "mic",
                                                              "orange",
                                                              "pancake",
                                                              "pants",
                                                              "parcel",
                                                              "peanut",
                                                              "plush",
                                                              "present",
                                                              "prize",
                                                              "racing car",
                                                              "racquet",
                                                              "red heart",
                                                              "rucksack",
                                                              "running shoe",
                                                              "sax",
                                                              "serpent",
                                                              "shirt",
                                                              "skate",
                                                              "spanner",
                                                              "tie",
                                                              "toadstool",
                                                              "torch",
                                                              "tortoise",
                                                              "toy",
                                                              "train",
                                                              "trousers",
                                                              "tv",
                                                              "tyrannosaurus rex",
                                                              "video game",
                                                              "whirlwind",
                                                              "yacht"};
  static const std::set<std::string, std::less<>> kKorean = {
      "강아지",      "건전지",     "게",       "계란",      "곰돌이",
      "구두",        "궁전",       "귀신",     "기어",      "기차",
      "꽃송이",      "꾸러미",     "꿀꿀이",   "꿀단지",    "다이아몬드",
      "도어",        "드래곤",     "드레스",   "라면",      "랩탑",
      "레인보우",    "로케트",     "마스크",   "막대 사탕", "멍멍이",
      "모바일폰",    "모터사이클", "물결",     "밀감",      "밀크",
      "버거",        "벌",         "범선",     "벨",        "보트",
      "볼링핀",      "부케",       "북",       "분수대",    "불꽃",
      "빨간 사과",   "뼈",         "상록수",   "생선",      "생일 케이크",
      "소",          "소세지",     "손도끼",   "솜인형",    "수저",
      "스니커즈",    "스시",       "스푼",     "승용차",    "식빵",
      "아기 병아리", "알파카",     "암탉",     "앰뷸런스",  "야옹이",
      "야채샐러드",  "약",         "에일리언", "오렌지",    "올빼미",
      "와인잔",      "요트",       "주택",     "지구본",    "청바지",
      "초승달",      "초코",       "캔들",     "캔디",      "크리스마스 트리",
      "타이",        "타이거",     "탑",       "통기타",    "티라노사우루스",
      "티비",        "판다곰",     "편지",     "플라밍고",  "학교 가방",
      "핫케이크",    "해",         "해머",     "헬기",      "홍고추",
      "활과 화살",   "휴대전화",   "휴지통"};
  return (language == Language::english ? kEnglish : kKorean).count(keyword) > 0;
}

const std::vector<std::string>& everyday_words(Language language) {
  static const std::vector<std::string> kEnglish = {
      "open",  "exit", "hello", "sale", "love",  "home",  "north", "south", "cafe",  "menu",  "push", "pull",
      "yes",   "no",   "go",    "one",  "two",   "red",   "blue",  "green", "happy", "music", "park", "zoo",
      "shop",  "food", "water", "good", "day",   "night", "time",  "world", "game",  "play",  "free", "new",
      "hot",   "cold", "up",    "down", "left",  "right", "art",   "bank",  "hotel", "taxi",  "east", "west",
      "enter", "city", "river", "lake", "sugar", "salt",  "lucky", "magic", "team",  "we",    "my",   "big"};
  static const std::vector<std::string> kKorean = {
      "안녕", "사랑", "우리", "학교", "나라", "하늘", "바다", "친구", "가족",   "행복", "음악",   "공원",
      "입구", "출구", "메뉴", "카페", "열림", "닫힘", "오늘", "내일", "아침",   "저녁", "시장",   "약국",
      "은행", "서점", "빨강", "파랑", "노랑", "하나", "둘",   "셋",   "위",     "아래", "봄",     "여름",
      "가을", "겨울", "강",   "산",   "숲",   "비",   "물",   "나무", "도서관", "영화", "사진",   "축하",
      "감사", "서울", "부산", "한글", "누리", "동쪽", "서쪽", "남쪽", "북쪽",   "세일", "주차장", "병원"};
  return language == Language::english ? kEnglish : kKorean;
}

bool is_scene_word(std::string_view word, Language language) {
  const std::u32string codes = decode_utf8(word);
  if (language == Language::english) {
    return codes.size() >= 2 && codes.size() <= 6 &&
           std::all_of(codes.begin(), codes.end(), [](char32_t c) { return c >= 'a' && c <= 'z'; });
  }
  return !codes.empty() && codes.size() <= 3 && std::all_of(codes.begin(), codes.end(), is_hangul_syllable);
}

}  // namespace nuri
