#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "text/jinja/template.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kClock = 1722004205;  // 2024-07-26 14:30:05 UTC, as tests/parity/chat_templates.py has it

// ---- goldens: JSON lines of {"template": name, "source" or "file": ...}, {"conversation": name, "variables": {...}}
// and
// {"use": [template, conversation], "text": rendered or null where the reference fails}.

class GoldenRun {
 public:
  void line(const std::string& text) {
    Json json = parse_json(text, "golden");
    if (json.contains("source")) {
      sources_[json["template"]] = json["source"];
    } else if (json.contains("file")) {
      sources_[json["template"]] = read_file(fs::path(NURI_SOURCE_DIR) / json["file"].get<std::string>());
    } else if (json.contains("variables")) {
      conversations_[json["conversation"]] = json["variables"];
    } else {
      compare(json["use"][0], json["use"][1], json["text"]);
    }
  }
  int compared() const { return compared_; }
  int failed() const { return failed_; }

 private:
  void compare(const std::string& name, const std::string& conversation, const Json& expected) {
    ++compared_;
    Json found = render(name, conversations_.at(conversation));
    bool same = expected.is_null() ? found.is_object() : found == expected;
    if (same || ++failed_ > 2000 || !reported_.insert(name).second) return;
    ADD_FAILURE() << name << " with " << conversation << "\ntemplate: " << sources_.at(name)
                  << "\nexpected: " << expected.dump() << "\nfound:    " << found.dump();
  }

  // The text, or {"error": message}.
  Json render(const std::string& name, Json variables) {
    try {
      ChatTemplate chat(sources_.at(name), name);
      chat.set_clock([] { return kClock; });
      Json messages = variables["messages"];
      bool prompt = variables.value("add_generation_prompt", false);
      variables.erase("messages");
      variables.erase("add_generation_prompt");
      return chat.render(messages, variables, prompt);
    } catch (const Error& error) {
      return Json{{"error", error.what()}};
    }
  }

  std::map<std::string, std::string> sources_;
  std::map<std::string, Json> conversations_;
  std::set<std::string> reported_;  // templates, each once
  int compared_ = 0, failed_ = 0;
};

class ChatTemplateParity : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }

  static int compare_file(const fs::path& path) {
    GoldenRun run;
    std::ifstream file(path);
    EXPECT_TRUE(file) << path;
    for (std::string line; std::getline(file, line);) {
      if (!line.empty()) run.line(line);
    }
    EXPECT_EQ(run.failed(), 0) << "of " << run.compared() << " in " << path;
    return run.compared();
  }
};

TEST_F(ChatTemplateParity, Goldens) {
  int compared = 0;
  for (const char* name : {"published.jsonl", "features.jsonl", "random.jsonl"}) {
    compared += compare_file(fs::path(NURI_SOURCE_DIR) / "tests/parity/golden/chat_templates" / name);
  }
  EXPECT_GT(compared, 600);
}

// NURI_CHAT_TEMPLATE_CASES names a file that tests/parity/chat_templates.py --full has written.
TEST_F(ChatTemplateParity, FullRun) {
  const char* path = std::getenv("NURI_CHAT_TEMPLATE_CASES");
  if (!path) GTEST_SKIP() << "set NURI_CHAT_TEMPLATE_CASES to compare a full run";
  std::cout << compare_file(path) << " rendered texts compared\n";
}

}  // namespace
}  // namespace nuri
