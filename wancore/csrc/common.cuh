// What every kernel shares: number types, 16-byte vectors of eight elements, sums over a block, fp8 codes.
//
// A row of D elements is D / 8 vectors; thread t of a block holds vectors t, t + threads, ... (at most NV).
// All arithmetic is in float.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>
#include <stdint.h>

#define WANCORE_API extern "C" __attribute__((visibility("default")))

enum Dtype { FLOAT32 = 0, FLOAT16 = 1, BFLOAT16 = 2 };  // as DTYPES of kernels/library.py

constexpr float FP8_LARGEST = 448.0f;  // of e4m3
constexpr int WIDTH = 8;               // elements of a vector
constexpr int MAX_THREADS = 512;        // of a block, so that a thread may have 128 registers
constexpr int MAX_WARPS = MAX_THREADS / 32;

using half_t = __half;
using bfloat_t = __nv_bfloat16;

// Eight elements as they lie in memory: one 16-byte access, two for float.
template <typename T>
struct Vector {
    static constexpr int WORDS = WIDTH * sizeof(T) / 16;
    uint4 words[WORDS];
};

template <typename T>
__device__ __forceinline__ Vector<T> load(const T* at) {  // used once: leave the L1 cache to tables
    Vector<T> v;
#pragma unroll
    for (int i = 0; i < Vector<T>::WORDS; ++i) v.words[i] = __ldcs(reinterpret_cast<const uint4*>(at) + i);
    return v;
}

template <typename T>
__device__ __forceinline__ Vector<T> load_table(const T* at) {  // read by many rows
    Vector<T> v;
#pragma unroll
    for (int i = 0; i < Vector<T>::WORDS; ++i) v.words[i] = __ldg(reinterpret_cast<const uint4*>(at) + i);
    return v;
}

template <typename T>
__device__ __forceinline__ void store(T* at, const Vector<T>& v) {
#pragma unroll
    for (int i = 0; i < Vector<T>::WORDS; ++i) reinterpret_cast<uint4*>(at)[i] = v.words[i];
}

__device__ __forceinline__ float2 widened(float2 pair) { return pair; }
__device__ __forceinline__ float2 widened(__half2 pair) { return __half22float2(pair); }
__device__ __forceinline__ float2 widened(__nv_bfloat162 pair) { return __bfloat1622float2(pair); }

template <typename T>
struct PairOf;
template <>
struct PairOf<float> {
    using type = float2;
    static __device__ __forceinline__ type rounded(float2 p) { return p; }
};
template <>
struct PairOf<half_t> {
    using type = __half2;
    static __device__ __forceinline__ type rounded(float2 p) { return __float22half2_rn(p); }
};
template <>
struct PairOf<bfloat_t> {
    using type = __nv_bfloat162;
    static __device__ __forceinline__ type rounded(float2 p) { return __float22bfloat162_rn(p); }
};

template <typename T>
__device__ __forceinline__ void unpack(const Vector<T>& v, float (&out)[WIDTH]) {
    const auto* pairs = reinterpret_cast<const typename PairOf<T>::type*>(v.words);
#pragma unroll
    for (int i = 0; i < WIDTH / 2; ++i) {
        const float2 p = widened(pairs[i]);
        out[2 * i] = p.x;
        out[2 * i + 1] = p.y;
    }
}

template <typename T>
__device__ __forceinline__ Vector<T> pack(const float (&in)[WIDTH]) {
    Vector<T> v;
    auto* pairs = reinterpret_cast<typename PairOf<T>::type*>(v.words);
#pragma unroll
    for (int i = 0; i < WIDTH / 2; ++i) pairs[i] = PairOf<T>::rounded(make_float2(in[2 * i], in[2 * i + 1]));
    return v;
}

// Eight e4m3 codes of in / scale, given 1 / scale; beyond 448 they saturate.
__device__ __forceinline__ uint2 codes_of(const float (&in)[WIDTH], float inverse) {
    uint2 codes;
    auto* pairs = reinterpret_cast<__nv_fp8x2_storage_t*>(&codes);
#pragma unroll
    for (int i = 0; i < WIDTH / 2; ++i) {
        pairs[i] = __nv_cvt_float2_to_fp8x2(make_float2(in[2 * i] * inverse, in[2 * i + 1] * inverse),
                                            __NV_SATFINITE, __NV_E4M3);
    }
    return codes;
}

struct Sum {
    static __device__ __forceinline__ float of(float a, float b) { return a + b; }
};
struct Largest {
    static __device__ __forceinline__ float of(float a, float b) { return fmaxf(a, b); }
};

// Over all threads of a block, for each of them. Every call in a kernel needs shared memory of its own.
template <typename Op>
__device__ __forceinline__ float over_block(float value, float (&shared)[MAX_WARPS]) {
#pragma unroll
    for (int lane = 16; lane > 0; lane /= 2) value = Op::of(value, __shfl_xor_sync(0xffffffffu, value, lane));
    const int warps = blockDim.x / 32;
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
    __syncthreads();
    value = shared[0];
    for (int i = 1; i < warps; ++i) value = Op::of(value, shared[i]);
    return value;
}

// 1 for a row of zeros, as the twin has it.
__device__ __forceinline__ float fp8_scale(float largest) { return largest > 0 ? largest / FP8_LARGEST : 1.0f; }

// How a row of `vectors` is spread over a block: `per_thread` 2, 4 or 5, the count of idle places least.
struct Spread {
    int threads, per_thread;
};

inline Spread spread(int64_t vectors) {
    const int order[] = {4, 5, 2};
    Spread best{0, 0};
    int64_t least = INT64_MAX;
    for (int n : order) {
        const int64_t threads = (vectors + 32 * n - 1) / (32 * n) * 32;
        const int64_t idle = threads * n - vectors;
        if (threads <= MAX_THREADS && idle < least) {
            least = idle;
            best = {static_cast<int>(threads), n};
        }
    }
    return best;
}

// Calls `f` with the number type and the vectors per thread as compile-time constants.
template <typename F>
cudaError_t with_type(int64_t dtype, F f) {
    switch (dtype) {
#ifndef WANCORE_ONE_VARIANT  // enough to see whether sources compile
        case FLOAT32: return f(float{});
        case FLOAT16: return f(half_t{});
#endif
        case BFLOAT16: return f(bfloat_t{});
        default: return cudaErrorInvalidValue;
    }
}

template <int N>
struct Constant {
    static constexpr int value = N;
};

template <typename F>
cudaError_t with_count(int count, F f) {
    switch (count) {
#ifndef WANCORE_ONE_VARIANT
        case 1: return f(Constant<1>{});
        case 2: return f(Constant<2>{});
        case 3: return f(Constant<3>{});
        case 5: return f(Constant<5>{});
#endif
        case 4: return f(Constant<4>{});
        default: return cudaErrorInvalidValue;
    }
}

// The same for what `spread` gives.
template <typename F>
cudaError_t with_share(int per_thread, F f) {
    switch (per_thread) {
#ifndef WANCORE_ONE_VARIANT
        case 2: return f(Constant<2>{});
        case 5: return f(Constant<5>{});
#endif
        case 4: return f(Constant<4>{});
        default: return cudaErrorInvalidValue;
    }
}
