#include "cli/cli.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/config_reader.h"
#include "base/report.h"
#include "cli/arguments.h"
#include "cli/terminal.h"

namespace nuri::cli {
namespace {

constexpr int kDone = 0, kFailed = 1, kUsage = 2, kInterrupted = 130;

extern "C" void on_interrupt(int) {
  // A second Ctrl-C ends the program at once.
  if (interrupt_requested()) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  request_interrupt();
}

int exit_code(ErrorKind kind) {
  if (kind == ErrorKind::usage) return kUsage;
  return kind == ErrorKind::interrupted ? kInterrupted : kFailed;
}

int complain(const std::string& message, int code) {
  fmt::print(stderr, "nuri: {}\n", one_line(message));
  return code;
}

void add_verbs(CLI::App& app) {
  add_ask(app);
  add_chat(app);
  add_forward(app);
  add_preprocess(app);
  add_tokenize(app);
  add_inspect(app);
  add_bench(app);
  add_compare(app);
  add_match(app);
  add_ground(app);
  add_embed(app);
  add_index(app);
  add_search(app);
  add_train(app);
  add_eval(app);
  add_quantize(app);
}

}  // namespace

CLI::App* add_verb(CLI::App& app, const std::string& name, const std::string& description, const std::string& example) {
  CLI::App* verb = app.add_subcommand(name, description);
  verb->footer("Example:\n  " + example);
  return verb;
}

void add_model_flags(CLI::App* verb, ModelOptions& options) {
  verb->add_option("MODEL", options.model, "A model folder, a GGUF file, or the name of a bundled model")->required();
  verb->add_option("--device", options.device, "cpu or cuda")->capture_default_str();
  verb->add_option("--dtype", options.dtype, "float32, bfloat16 or float16; as in the file when not given");
  verb->add_option(
          "--weights", options.weights,
          "native (as in the file), int8 or int4: rounded while loading; bf12: bfloat16 in 12 bits, the same numbers")
      ->capture_default_str();
  verb->add_option("--threads", options.threads, "Threads; all cores when not given")->check(at_least(1));
}

void add_cache_flag(CLI::App* verb, ModelOptions& options) {
  verb->add_option("--cache", options.cache,
                   "native (as the model computes) or int8: how keys and values are kept while text is generated")
      ->capture_default_str();
}

void add_context_flag(CLI::App* verb, ModelOptions& options) {
  verb->add_option("--context", options.context,
                   "Positions of a conversation; refused where memory has no room for them. As many as the model was "
                   "made for, or half of the free memory holds, when not given")
      ->check(at_least(1));
}

void add_generation_flags(CLI::App* verb, GenerationOptions& options) {
  verb->add_flag("--greedy", options.greedy, "Always the likeliest token");
  verb->add_option("--temperature", options.temperature, "Flattens (> 1) or sharpens (< 1) the choice");
  verb->add_option("--top-k", options.top_k, "Choose among the K likeliest tokens");
  verb->add_option("--top-p", options.top_p, "Choose among the likeliest tokens that together reach P");
  verb->add_option("--min-p", options.min_p, "Choose among tokens at least P times as likely as the likeliest");
  verb->add_option("--repetition-penalty", options.repetition_penalty, "Above 1: discourage what was already said");
  verb->add_option("--presence-penalty", options.presence_penalty, "Discourage tokens that the answer already has");
  verb->add_option("--frequency-penalty", options.frequency_penalty, "The same, for each time");
  verb->add_option("--max-tokens", options.max_tokens, "Longest answer");
  // Else a text in brackets would be taken for a list.
  verb->add_option("--stop", options.stop, "End in front of this text; may be given several times")
      ->allow_extra_args(false);
  verb->add_option("--seed", options.seed, "The same seed gives the same text")
      ->check(at_least(0))
      ->capture_default_str();
}

void add_max_pixels(CLI::App* verb, PictureLimits& limits) {
  verb->add_option("--max-pixels", limits.max_pixels, "Largest picture that is decoded")
      ->check(at_least(1))
      ->capture_default_str();
}

void add_videos(CLI::App* verb, std::vector<std::string>& videos, VideoOptions& options) {
  verb->add_option("-v,--video", videos, "A video; a model that watches none is shown some of its frames as pictures")
      ->allow_extra_args(false);
  auto* rate = verb->add_option("--fps", options.frames_per_second, "Frames a second that are looked at");
  verb->add_option("--frames", options.frames, "Frames that are looked at in all")->check(at_least(1))->excludes(rate);
  verb->add_option("--max-seconds", options.max_seconds, "Longest video that is read")->capture_default_str();
  verb->add_option("--max-frames", options.max_frames, "Most frames that are looked at")
      ->check(at_least(1))
      ->capture_default_str();
}

OutputError::OutputError(const std::string& reason)
    : Error(ErrorKind::resource, "standard output: cannot write: " + reason) {}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw OutputError(std::strerror(errno));
}

void print_json(const Json& object) { print(object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"); }

namespace {

// "ask, chat, forward"
std::string verb_names(CLI::App& app) {
  std::string names;
  for (const CLI::App* verb : app.get_subcommands({})) names += (names.empty() ? "" : ", ") + verb->get_name();
  return names;
}

bool has_verb(CLI::App& app, const std::string& name) {
  return !app.get_subcommands([&](const CLI::App* verb) { return verb->get_name() == name; }).empty();
}

// Throws for the first argument that looks like a flag and is none of the verb's; what a verb misses comes second.
void refuse_unknown_flags(const CLI::App& verb) {
  std::vector<std::string> known;
  for (const CLI::Option* option : verb.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  for (const std::string& left : verb.remaining()) {
    if (left == "--") return;
    if (left.size() < 2 || left.front() != '-') continue;
    std::string flag = left.substr(0, left.find('='));
    // A single letter is near to nothing and to everything.
    std::string nearest = flag.size() > 3 ? nearest_word(flag, known) : "";
    throw Error(ErrorKind::usage,
                fmt::format("found the unknown flag {}{} (nuri {} --help tells more)", shown_text(flag),
                            nearest.empty() ? "" : fmt::format(", did you mean {}?", nearest), verb.get_name()));
  }
}

void parse_and_run(CLI::App& app, int count, char** arguments) {
  std::string first = count > 1 ? arguments[1] : "";
  auto expect_a_verb = [&] {
    throw Error(ErrorKind::usage, fmt::format("found {}, expected a verb: {} (nuri --help tells more)",
                                              first.empty() ? "nothing" : shown_text(first), verb_names(app)));
  };
  if (first.empty() || (first.front() != '-' && !has_verb(app, first))) expect_a_verb();
  try {
    app.parse(count, arguments);
  } catch (const CLI::CallForHelp&) {
    print(app.help());  // of the verb, if one was chosen
  } catch (const CLI::CallForVersion& version) {
    print(std::string(version.what()) + "\n");
  } catch (const CLI::ParseError& error) {
    if (app.get_subcommands().empty()) expect_a_verb();
    refuse_unknown_flags(*app.get_subcommands().front());
    throw Error(ErrorKind::usage, std::string(error.what()) + " (nuri --help, or nuri VERB --help, tells more)");
  }
}

}  // namespace

int run(int count, char** arguments) {
  open_missing_streams();
  CLI::App app("Nuri runs, trains and serves multimodal models.", "nuri");
  app.require_subcommand(1);
  app.set_version_flag("--version", NURI_VERSION);
  add_verbs(app);
  std::signal(SIGINT, on_interrupt);
  // A reader that left, or a limit on file sizes: the write says so.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  Terminal terminal;
  set_report_sink(&terminal);
  auto fail = [&](const std::string& message, int code) {
    terminal.clear();
    return complain(message, code);
  };
  try {
    parse_and_run(app, count, arguments);
    return kDone;
  } catch (const Error& error) {
    return fail(error.what(), exit_code(error.kind()));
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(fmt::format("{}: {}", error.path1().string(), error.code().message()), kFailed);
  } catch (const std::bad_alloc&) {
    return fail("out of memory", kFailed);
  } catch (const std::exception& error) {
    std::string text = error.what();
    // What libtorch says when an allocation fails that no plan foresaw.
    if (text.find("allocate memory") != std::string::npos || text.find("out of memory") != std::string::npos)
      return fail("out of memory", kFailed);
    return fail("internal error: " + text.substr(0, text.find('\n')), kFailed);
  }
}

}  // namespace nuri::cli
