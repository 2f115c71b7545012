#include <fmt/format.h>
#include <unistd.h>

#include "base/file.h"
#include "base/report.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/line_reader.h"
#include "tasks/ask.h"

namespace nuri::cli {
namespace {

struct Flags {
  ModelOptions model;
  GenerationOptions generation;
  SpeculationOptions speculation;
  PictureLimits limits;
  std::vector<std::string> pictures;
};

constexpr const char* kHelp =
    "/image PATH  add a picture to what you say next\n"
    "/reset       begin anew\n"
    "/save FILE   write the conversation as JSON\n"
    "/exit        leave (so does Ctrl-D)\n";

class Session {
 public:
  explicit Session(const Flags& flags) : flags_(flags), assistant_(flags.model), conversation_(assistant_) {
    assistant_.speculate(flags.speculation);
    for (const auto& picture : flags.pictures) conversation_.add_picture(picture, flags.limits);
  }

  void run() {
    bool terminal = ::isatty(STDIN_FILENO) == 1;
    if (terminal) print("Type a question, or /help.\n");
    while (true) {
      if (terminal) print("> ");
      auto line = lines_.next();
      if (!line) break;
      if (!line->empty() && !answer(*line)) return;
    }
    if (terminal) print("\n");
  }

 private:
  // false: the conversation is over. A mistake in one line does not end it.
  bool answer(const std::string& line) {
    try {
      if (line.starts_with("/")) return command(line);
      conversation_.say(line, flags_.generation, [](std::string_view piece) { print(piece); });
      print("\n");
    } catch (const OutputError&) {
      throw;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::interrupted) {
        // Ctrl-C ends the answer, not the conversation.
        clear_interrupt();
        print("\n");
        return true;
      }
      if (error.kind() == ErrorKind::internal) throw;
      warn(error.what());
    }
    return true;
  }

  bool command(const std::string& line) {
    size_t space = line.find(' ');
    std::string name = line.substr(0, space);
    size_t begin = line.find_first_not_of(' ', space), end = line.find_last_not_of(" \r");
    std::string argument = begin == std::string::npos ? "" : line.substr(begin, end - begin + 1);
    if (name == "/exit" || name == "/quit") return false;
    if (name == "/help") {
      print(kHelp);
    } else if (name == "/reset") {
      conversation_.reset();
    } else if (name == "/image" && !argument.empty()) {
      conversation_.add_picture(argument, flags_.limits);
    } else if (name == "/save" && !argument.empty()) {
      write_file_atomically(argument, conversation_.json());
    } else {
      throw Error(ErrorKind::usage,
                  fmt::format("found {}, expected /image PATH, /reset, /save FILE, /help or /exit", line));
    }
    return true;
  }

  const Flags& flags_;
  Assistant assistant_;
  Conversation conversation_;
  LineReader lines_;
};

}  // namespace

void add_chat(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = add_verb(app, "chat", "Talk with a model in the terminal; /image PATH adds a picture",
                            "nuri chat emoji-world -i docs/scene.png");
  add_model_flags(verb, flags->model);
  add_cache_flag(verb, flags->model);
  add_context_flag(verb, flags->model);
  auto settle = add_pictures(verb, flags->pictures, {&flags->model.model}, "A picture to begin with");
  add_generation_flags(verb, flags->generation);
  add_speculation_flags(verb, flags->speculation);
  add_max_pixels(verb, flags->limits);
  verb->callback([flags, settle] {
    settle();
    Session(*flags).run();
  });
}

}  // namespace nuri::cli
