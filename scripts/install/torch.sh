# shellcheck shell=bash
# Chooses torch by the release of L4T, and installs NVIDIA's wheels on JetPack 6. install.sh, scripts/setup and
# scripts/bundle source this file after scripts/common.sh.
#
#   no L4T      the stock wheels of the lock
#   below 36    refused: the Python of JetPack 5 is 3.8
#   36          the wheels that --torch names: the stock ones are for another CUDA
#   38, 39, …   the stock wheels of the lock, which are for CUDA 13 on aarch64 too

# torch and triton that belong together, newest first. torchaudio has the version of its torch, and ends with 2.11.
TORCH_SETS=("2.13.0 3.7.1" "2.12.1 3.7.1" "2.12.0 3.7.0" "2.11.0 3.6.0" "2.10.0 3.6.0" "2.9.1 3.5.1" "2.9.0 3.5.0"
    "2.8.0 3.4.0" "2.7.1 3.3.1" "2.7.0 3.3.0" "2.6.0 3.2.0" "2.5.1 3.1.0" "2.5.0 3.1.0")

check_torch_choice() {  # refuses a release of L4T for which there is no torch, and --torch if it has no use
    local release
    release=$(l4t_release)
    # shellcheck disable=SC2154  # install.sh and scripts/bundle set it
    if [ "$f5" = no ]; then
        [ -z "$torch" ] || refuse "--torch is for F5, which --without-f5 leaves out; --with-f5 installs it again"
    elif [ -n "$release" ] && [ "$release" -lt 36 ]; then
        die "this board has L4T $release, for which there is no torch: upgrade to JetPack 6 or later, or use --without-f5"
    elif [ -n "$offline" ]; then
        [ -z "$torch" ] || refuse "a bundle has its torch, so leave out --torch"
    elif is_jetpack6; then
        [ -n "$torch" ] || refuse "JetPack 6 needs NVIDIA's torch: name its folder or index with --torch"
    elif [ -n "$torch" ]; then
        refuse "--torch is for JetPack 6 (L4T 36); here the stock wheels are right, so leave it out"
    fi
}

torch_options() {  # torch_options WHEELS: sets `torch_source` to the options of uv and pip for a folder or an index
    torch_source=(--index-url "$1")
    if [ -d "$1" ]; then torch_source=(--no-index --find-links "$1"); fi
}

has_library() {  # has_library NAME: whether the loader finds a shared library, as in libcudss.so.0
    python3 -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$1" 2>/dev/null
}

install_cudss() {  # installs NVIDIA's cuDSS, a library that torch 2.8 and later need on JetPack 6
    has_library libcudss.so.0 || (apt_install cudss) || echo "goes on without cudss: torch before 2.8 does not need it" >&2
}

torch_packages() {  # torch_packages VERSION BENCH: prints torch==VERSION, and with BENCH=yes upstream's torchaudio==VERSION
    if [ "$2" = yes ]; then echo "torch==$1 torchaudio==$1"; else echo "torch==$1"; fi
}

choose_torch() {  # choose_torch VENV WHEELS BENCH: prints the newest set that WHEELS has and this system can load
    local venv=$1 wheels=$2 bench=$3 set names packages fitting=() wanted=torch message='' unloadable='' torch_source
    torch_options "$wheels"
    for set in "${TORCH_SETS[@]}"; do
        case "$bench $set" in "yes 2."1[2-9].*) continue ;; esac  # there is no torchaudio
        read -ra names <<<"$set"
        read -ra packages < <(torch_packages "${names[0]}" "$bench")
        fitting+=("${names[0]}")
        if ! message=$("$venv/bin/uv" pip install --dry-run --quiet --python "$venv/bin/python" --no-deps \
            "${torch_source[@]}" "${packages[@]}" 2>&1); then
            continue
        fi
        case $set in
            2.[5-7].*) ;;
            *) if ! has_library libcudss.so.0; then unloadable=${unloadable:-$set} && continue; fi ;;
        esac
        echo "$set"
        return 0
    done
    # The check of the GPU names the library and its package.
    if [ -n "$unloadable" ]; then echo "$unloadable" && return 0; fi
    echo "$message" >&2
    if [ "$bench" = yes ]; then wanted="torch and torchaudio of one version"; fi
    die "$wheels has no $wanted for this Python; these fit: ${fitting[*]}"
}

install_nvidia_torch() {  # install_nvidia_torch VENV WHEELS BENCH: installs JetPack 6's torch from a folder or an index
    local venv=$1 wheels=$2 bench=$3 set names packages torch_source
    set=$(choose_torch "$venv" "$wheels" "$bench") || exit 1
    read -ra names <<<"$set"
    read -ra packages < <(torch_packages "${names[0]}" "$bench")
    torch_options "$wheels"
    echo "${packages[*]} and triton==${names[1]} from $wheels" >&2
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps "${torch_source[@]}" \
        "${packages[@]}" >&2 || die "${packages[*]} could not be installed from $wheels"
    # A step of its own: only the fused kernels need it.
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps "${torch_source[@]}" \
        "triton==${names[1]}" 2>/dev/null >&2 ||
        echo "$wheels has no triton ${names[1]}: speech works, but is slower on the GPU" >&2
}
