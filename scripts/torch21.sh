#!/bin/sh
# An environment with torch 2.1, as Nuke has it, on the processor alone: torch21.sh FOLDER makes
# FOLDER/python. PyPI has torch 2.1 for CUDA only. Its CUDA libraries (2 GB) are never called here,
# but must be there to load: empty functions of the same names stand in for them.
set -eu
place=$1
[ -x "$place/python" ] && "$place/python" -c "import torch" 2>/dev/null && exit 0
mkdir -p "$place/stubs"
"$(sh "$(dirname "$0")/python_of.sh" 3.11)" -m venv "$place/env"
pip="$place/env/bin/pip -q --disable-pip-version-check install"
$pip "numpy<2" filelock typing_extensions sympy networkx jinja2 fsspec
$pip --no-deps torch==2.1.2 nvidia-cuda-runtime-cu12==12.1.105 nvidia-nvtx-cu12==12.1.105 \
    nvidia-cuda-cupti-cu12==12.1.105
site=$(echo "$place"/env/lib/python3.*/site-packages)
nm -D --undefined-only "$site"/torch/lib/libtorch_cuda.so "$site"/torch/lib/libtorch_cuda_linalg.so \
    "$site"/torch/lib/libtorch_python.so | awk '{print $2}' |
    grep -E '^p?(cublas|cufft|curand|cusparse|cusolver|cudnn|nccl)' | sort -u >"$place/names"
for library in libcublas.so.12 libcublasLt.so.12 libcufft.so.11 libcurand.so.10 libcusparse.so.12 \
    libcusolver.so.11 libcudnn.so.8 libnccl.so.2; do
    if [ $library = libnccl.so.2 ]; then names=$(grep -v @ "$place/names" || true); version=""
    else
        names=$(grep "@$library\$" "$place/names" | sed 's/@.*//' || true)
        echo "$library { global: *; };" >"$place/map"
        version="-Wl,--version-script=$place/map"
    fi
    for name in $names; do echo "void $name(void) { __builtin_trap(); }"; done >"$place/stub.c"
    # shellcheck disable=SC2086
    gcc -shared -fPIC -w "$place/stub.c" $version -Wl,-soname,$library -o "$place/stubs/$library"
done
cat >"$place/python" <<END
#!/bin/sh
LD_LIBRARY_PATH="$place/stubs:$site/nvidia/cuda_runtime/lib:$site/nvidia/nvtx/lib:$site/nvidia/cuda_cupti/lib"
export LD_LIBRARY_PATH
exec "$place/env/bin/python" "\$@"
END
chmod +x "$place/python"
"$place/python" -c "import torch"
