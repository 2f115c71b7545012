# make demo     sets up, builds, and asks the bundled model about a picture
# make test     sets up, builds, and runs every test
# make setup    installs what is missing: Debian packages, and libtorch into .venv/
# make asan     runs every test under the address and undefined behaviour sanitizers
# make bench-peers  measures Nuri beside llama.cpp, transformers and OpenVINO (bench/README.md); QUICK=1 tries it
# make format   formats the C++ sources
# make clean    removes what was built
#
# NURI_TORCH=/path takes another libtorch. JOBS=N sets how much runs at once. PEERS='...' are bench-peers' options.

JOBS ?= $(shell nproc)
MODEL = models/emoji-world
PICTURE = docs/scene.png
QUESTION = Where is everything?

.DELETE_ON_ERROR:
.PHONY: setup demo test asan bench-peers format clean force
.SECONDARY:

setup: build/torch.path

# Touched only when another libtorch was chosen; then everything is configured anew.
build/torch.path: force
	@setup/install.sh

build/%/build.ninja: build/torch.path
	cmake --preset $* -DNURI_TORCH="$$(cat build/torch.path)"

demo: build/release/build.ninja
	@cmake --build --preset release -j $(JOBS) --target nuri_cli
	@echo '$(PICTURE): $(QUESTION)'
	@build/release/nuri ask $(MODEL) '$(QUESTION)' -i $(PICTURE) --greedy --draw build/demo.png
	@echo 'The boxes are drawn in build/demo.png.'

test: build/release/build.ninja
	@cmake --build --preset release -j $(JOBS)
	@ctest --preset release -j $(JOBS)

asan: build/asan/build.ninja
	@cmake --build --preset asan -j $(JOBS)
	@ctest --preset asan -j $(JOBS)

bench-peers: build/release/build.ninja
	@cmake --build --preset release -j $(JOBS) --target nuri_cli nuri_probe
	@python3 bench/peers $(if $(QUICK),--quick) $(PEERS)

format:
	git ls-files -co --exclude-standard '*.cpp' '*.h' | xargs -r clang-format-16 -i

clean:
	rm -rf build
