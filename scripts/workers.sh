#!/bin/sh
# How many test workers: one a core, at most 4 (each loads torch and onnxruntime).
cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
[ "$cores" -gt 4 ] && cores=4
echo "$cores"
