#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <vector>

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

// ---- behaviour that goldens do not show

std::string render(const std::string& source, const Json& variables = Json::object()) {
  ChatTemplate chat(source, "t.jinja");
  chat.set_limits({.steps = 1'000'000});
  return chat.render(Json{{{"role", "user"}, {"content", "Hi"}}}, variables);
}

// The error that `source` ends with.
Error error_of(const std::string& source, const Json& variables = Json::object()) {
  try {
    std::string text = render(source, variables);
    ADD_FAILURE() << source << " gave " << text.substr(0, 100);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "none");
}

TEST(ChatTemplate, ErrorsNameFileAndLine) {
  EXPECT_STREQ(error_of("a\n{{ 1 +\n}}").what(), "t.jinja:3: found '}}', expected an expression");
  EXPECT_STREQ(error_of("\n\n{{ messages|nope }}").what(), "t.jinja:3: no filter named 'nope'");
  EXPECT_STREQ(error_of("\n{{ x.y }}").what(), "t.jinja:2: 'x' is undefined");
  EXPECT_STREQ(error_of("{% if x %}\n{% for a in b %}").what(),
               "t.jinja:2: found the end of the template, expected '{% endfor %}' or '{% else %}'");
  EXPECT_EQ(error_of("{% include 'x' %}").kind(), ErrorKind::format);
  Error refused = error_of("\n{{ raise_exception('roles must\nalternate') }}");
  EXPECT_EQ(refused.kind(), ErrorKind::usage);
  EXPECT_STREQ(refused.what(), "t.jinja:2: the template refuses this conversation: roles must alternate");
  EXPECT_EQ(error_of("{{ 10**30 }}").kind(), ErrorKind::unsupported);
}

TEST(ChatTemplate, EndlessTemplatesEnd) {
  for (
      const char* source : {
          "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
          "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
          "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
          "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
          "{{ 'a' * 10**9 }}",
          "{{ [0] * 10**9 }}",
          "{{ range(10**9) }}",
          "{{ 'a'.ljust(10**15) }}",
          "{{ '%1000000000d' % 5 }}",
          "{{ '{:1000000000}'.format(5) }}",
          "{{ '%.2000000000f' % 5 }}",
          "{{ 'a\nb'|indent(10**12) }}",
          "{{ [1]|tojson(indent=10**12) }}",
          "{{ [1]|batch(10**12, 0)|list }}",
          "{{ [1]|slice(10**12)|list }}",
          "{{ 'x'|center(10**12) }}",
          "{{ '\t'.expandtabs(10**12) }}",
          "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
          "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('', ns.s) %}{% endfor %}",
          "{% set ns = namespace(s=['ab']) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
          "{% set ns = namespace(s=[]) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
          "{% set ns = namespace(s=[]) %}{% for i in range(9999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}",
          "{% set ns = namespace(s=[]) %}{% for i in range(9999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s|tojson "
          "}}",
          "{% set ns = namespace(s=(), t=()) %}{% for i in range(9999) %}{% set ns.s = (ns.s,) %}{% set ns.t = (ns.t,) "
          "%}{% endfor %}{{ ns.s == ns.t }}",
          "{% set ns = namespace(s=[1]) %}{% for i in range(9999) %}{% set ns.s = ns.s|map('string') %}{% endfor %}{{ "
          "ns.s|list }}",
          "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
          "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
          "{% macro m() %}{{ caller() }}{% endmacro %}{% macro f() %}{% call m() %}{{ f() }}{% endcall %}{% endmacro "
          "%}{{ f() }}",
      }) {
    EXPECT_EQ(error_of(source).kind(), ErrorKind::resource) << source;
  }
}

TEST(ChatTemplate, DeepNestingIsRefused) {
  auto repeat = [](const std::string& text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += text;
    return out;
  };
  for (int times : {1000, 10000}) {
    for (const auto& [open, middle, close] : std::vector<std::array<std::string, 3>>{{"(", "1", ")"},
                                                                                     {"[", "1", "]"},
                                                                                     {"{1:", "1", "}"},
                                                                                     {"not ", "1", ""},
                                                                                     {"-", "1", ""},
                                                                                     {"1 if 1 else ", "1", ""},
                                                                                     {"1 + ", "1", ""},
                                                                                     {"x.", "y", ""},
                                                                                     {"", "x", "[0]"},
                                                                                     {"", "x", "|e"},
                                                                                     {"", "x", "()"},
                                                                                     {"1 and ", "1", ""},
                                                                                     {"f(", "1", ")"}}) {
      std::string source = "{{ " + repeat(open, times) + middle + repeat(close, times) + " }}";
      EXPECT_EQ(error_of(source).kind(), ErrorKind::format) << open << close;
    }
    EXPECT_EQ(error_of(repeat("{% if 1 %}", times) + repeat("{% endif %}", times)).kind(), ErrorKind::format);
    EXPECT_EQ(error_of(repeat("{% for x in [1] %}", times) + repeat("{% endfor %}", times)).kind(), ErrorKind::format);
  }
  EXPECT_EQ(render("{{ " + repeat("(", 60) + "1" + repeat(")", 60) + " }}"), "1");
  EXPECT_EQ(render("{{ 1" + repeat(" + 1", 200) + " }}"), "201");
  EXPECT_EQ(render("{% macro f(n) %}{{ f(n - 1) if n else 'end' }}{% endmacro %}{{ f(100) }}"), "end");
}

TEST(ChatTemplate, LimitsAreSettable) {
  ChatTemplate chat("{% for i in range(1000) %}{{ i }}{% endfor %}", "t");
  Json messages = {{{"role", "user"}, {"content", "x"}}};
  EXPECT_EQ(chat.render(messages).size(), 2890u);
  chat.set_limits({.steps = 1000});
  EXPECT_THROW(chat.render(messages), Error);
  chat.set_limits({.output_bytes = 2889});
  EXPECT_THROW(chat.render(messages), Error);
  chat.set_limits({.output_bytes = 2890});
  EXPECT_NO_THROW(chat.render(messages));
}

TEST(ChatTemplate, RefusesBadInput) {
  ChatTemplate chat("{{ messages[0].content }}{{ tools }}", "t");
  auto kind = [&](const Json& messages, const Json& variables = Json::object()) {
    try {
      chat.render(messages, variables);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::internal;
  };
  Json fine = {{{"role", "user"}, {"content", "x"}}};
  EXPECT_EQ(kind(Json::array()), ErrorKind::usage);
  EXPECT_EQ(kind(Json("hello")), ErrorKind::usage);
  EXPECT_EQ(kind(Json{"hello"}), ErrorKind::usage);
  EXPECT_EQ(kind(fine, {{"tools", {1}}}), ErrorKind::usage);
  EXPECT_EQ(kind(fine, {{"documents", "x"}}), ErrorKind::usage);
  EXPECT_EQ(kind(fine, Json::array()), ErrorKind::usage);
  EXPECT_EQ(kind(Json{{{"role", "user"}, {"content", "\xff\xfe"}}}), ErrorKind::usage);
  EXPECT_EQ(kind(Json{{{"role", "user"}, {"content", 18446744073709551615u}}}), ErrorKind::unsupported);
  EXPECT_THROW(ChatTemplate("\xff", "t"), Error);
  EXPECT_THROW(ChatTemplate(std::string(5u << 20, 'x'), "t"), Error);
}

TEST(ChatTemplate, HostileSourcesAreErrorsOrTexts) {
  // Every prefix and every damaged copy of a real template parses or fails with an Error.
  std::string source = read_file(fs::path(NURI_SOURCE_DIR) / "tests/parity/chat_templates/hermes.jinja");
  Json messages = {{{"role", "user"}, {"content", "x"}}};
  auto attempt = [&](const std::string& text) {
    try {
      ChatTemplate(text, "t").render(messages, Json{{"tools", {Json::object()}}});
    } catch (const Error&) {
    }
  };
  for (size_t cut = 0; cut < source.size(); cut += 41) attempt(source.substr(0, cut));
  for (size_t at = 0; at + 3 < source.size(); at += 31) {
    std::string damaged = source;
    damaged.erase(at, 3);
    attempt(damaged);
    damaged = source;
    damaged[at] = "{}%#-'\"([|"[at % 10];
    attempt(damaged);
  }
}

TEST(ChatTemplate, ManyBranchesWithManyNames) {
  std::string source;
  for (int i = 0; i < 20000; ++i)
    source += "{%if a" + std::to_string(i) + "%}{%set b" + std::to_string(i) + "=1%}{%endif%}";
  EXPECT_THROW(ChatTemplate(source, "t"), Error);
}

// ---- folders

class ChatTemplateFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(NURI_BINARY_DIR) / "chat_template_test" /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  std::string rendered(std::string_view which = "default", const Json& variables = Json::object()) {
    return ChatTemplate::from_folder(folder_, which)->render(Json{{{"role", "user"}, {"content", "x"}}}, variables);
  }
  fs::path folder_;
};

TEST_F(ChatTemplateFolder, LooksWhereTransformersLooks) {
  EXPECT_FALSE(ChatTemplate::from_folder(folder_));
  write("tokenizer_config.json", R"({"chat_template": "config {{ bos_token }}{{ eos_token }}{{ pad_token }}",
    "bos_token": "<s>", "eos_token": {"__type": "AddedToken", "content": "</s>"}, "pad_token": null})");
  EXPECT_EQ(rendered(), "config <s></s>");
  write("special_tokens_map.json", R"({"bos_token": {"content": "<bos>"}, "pad_token": "<pad>"})");
  EXPECT_EQ(rendered(), "config <bos></s><pad>");
  EXPECT_EQ(rendered("default", {{"bos_token", "mine"}}), "config mine</s><pad>");
  write("chat_template.jinja", "file\n");
  EXPECT_EQ(rendered(), "file");
  write("additional_chat_templates/rag.jinja", "rag");
  EXPECT_EQ(rendered("rag"), "rag");
  write("chat_template.json", R"({"chat_template": "json"})");
  EXPECT_EQ(rendered(), "json");
  write("processor_config.json", R"({"chat_template": {"default": "processor", "other": "o"}})");
  EXPECT_EQ(rendered(), "processor");
  EXPECT_EQ(rendered("other"), "o");
}

TEST_F(ChatTemplateFolder, NamedTemplates) {
  write("tokenizer_config.json", R"({"added_tokens_decoder": {}, "chat_template": [
    {"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]})");
  write("special_tokens_map.json", R"({"bos_token": "ignored"})");
  EXPECT_EQ(rendered(), "plain");
  EXPECT_EQ(rendered("tool_use"), "tools");
  EXPECT_EQ(rendered("default", {{"tools", {Json::object()}}}), "tools");
  try {
    ChatTemplate::from_folder(folder_, "rag");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("expected one of: default, tool_use"), std::string::npos);
  }
}

TEST_F(ChatTemplateFolder, BrokenFiles) {
  write("tokenizer_config.json", R"({"chat_template": 5})");
  EXPECT_THROW(ChatTemplate::from_folder(folder_), Error);
  write("tokenizer_config.json", R"({"chat_template": [{"name": "x"}]})");
  EXPECT_THROW(ChatTemplate::from_folder(folder_), Error);
  write("tokenizer_config.json", "[]");
  EXPECT_THROW(ChatTemplate::from_folder(folder_), Error);
  write("tokenizer_config.json", "{");
  EXPECT_THROW(ChatTemplate::from_folder(folder_), Error);
  write("chat_template.jinja", "{% if %}");
  EXPECT_THROW(ChatTemplate::from_folder(folder_), Error);
}

}  // namespace
}  // namespace nuri
