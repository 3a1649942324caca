// The VAE's convolutions as implicit matrix products on Hopper's tensor cores, bfloat16, channels last.
//
// Causal: x [frames + 2, height, width, channels_in], weight [channels_out, 3, 3, 3, channels_in],
//   y[t, h, w] = bias + add[t, h, w] + the sum over the taps of weight x[t + kt, h + kh - 1, w + kw - 1].
// Up: the 3x3 convolution of every pixel doubled in both directions. A row of the result sees two rows of x,
//   so the even and the odd rows and columns are four 2x2 convolutions of x, whose weights are sums of the nine.
//
// A tile is kFrames x kRows x 8 pixels and kN output channels. Per step (one column of taps, 32 channels) the
// copy engine brings the pictures that the tile sees, shifted by the column, zeros outside. Eight pixels are a
// group of swizzled rows, so the taps of other rows and frames only move the start of a matrix: what was
// copied once serves them all.

#include "common.cuh"
#include "hopper.cuh"

namespace {

constexpr int kChannels = 32;  // input channels of a step
constexpr int kRowBytes = kChannels * 2;
constexpr int kGroup = 8 * kRowBytes;  // eight pixels
constexpr int kWidth = 8;
constexpr int kConsumers = 2;  // warpgroups that multiply; one more copies
constexpr int kThreads = (kConsumers + 1) * 128;
constexpr int kShared = 227 * 1024;  // of a block at most
constexpr int kFew = 16;             // output channels of a tile that is written channel by channel

// `time` and `side`: taps along frames, and along rows and columns.
template <int time, int side, int frames, int rows, int n> struct Tile {
    static constexpr int kTime = time, kSide = side, kFrames = frames, kRows = rows, kN = n;
    static constexpr bool kUp = side == 2;
    static constexpr int kSeenRows = kRows + kSide - 1;
    static constexpr int kPicture = (kFrames + kTime - 1) * kSeenRows * kGroup;  // bytes of a step
    static constexpr int kTaps = kTime * kSide;
    static constexpr int kWeight = kN * kRowBytes;  // bytes of a tap
    static constexpr int kStage = kPicture + kTaps * kWeight;
    static constexpr int kStages = kShared / kStage < 4 ? kShared / kStage : 4;
    static constexpr int kBytes = kStages * (kStage + 2 * static_cast<int>(sizeof(uint64_t)));
    static constexpr int kParts = kFrames * kRows / 8 / kConsumers;  // of a warpgroup, 64 pixels each
    static_assert(kParts * kConsumers * 8 == kFrames * kRows, "equal shares");
    static_assert(kStages >= 2 && kBytes <= kShared, "room for two stages and the barriers");
};

template <int frames, int rows, int n> using Causal = Tile<3, 3, frames, rows, n>;
template <int frames, int n> using Up = Tile<1, 2, frames, 16, n>;

struct Problem {
    void* out;
    const bfloat_t* add;   // or null
    const bfloat_t* bias;  // or null
    int frames, height, width;  // of y, before its pixels are doubled
    int channels_in, channels_out;
    int parts;  // frames that lie side by side in the channels of one of x
    int tiles_n, tiles_t, tiles_w, tiles;
};

struct Place {
    int n, t, h, w;
    int down, right;  // of the four convolutions of an Up
};

template <typename T> __device__ __forceinline__ Place place(const Problem& p, int tile) {
    Place at{};
    at.n = tile % p.tiles_n * T::kN;
    tile /= p.tiles_n;
    if (T::kUp) {
        at.right = tile % 2;
        at.down = tile / 2 % 2;
        tile /= 4;
    }
    at.t = tile % p.tiles_t * T::kFrames;
    tile /= p.tiles_t;
    at.w = tile % p.tiles_w * kWidth;
    at.h = tile / p.tiles_w * T::kRows;
    return at;
}

__device__ __forceinline__ uint32_t pair(float a, float b) {
    const __nv_bfloat162 v = __floats2bfloat162_rn(a, b);
    return *reinterpret_cast<const uint32_t*>(&v);
}

__device__ __forceinline__ uint32_t sum(uint32_t a, uint32_t b) {
    const __nv_bfloat162 v =
        __hadd2(*reinterpret_cast<const __nv_bfloat162*>(&a), *reinterpret_cast<const __nv_bfloat162*>(&b));
    return *reinterpret_cast<const uint32_t*>(&v);
}

// A thread's results of one of two rows of pixels: `word` i is channels 8 i + 2 q and the next.
template <int kN>
__device__ __forceinline__ uint32_t word(const Problem& p, const float (&acc)[kN / 2], int i, int half, int n, int q) {
    float a = acc[i * 4 + 2 * half], b = acc[i * 4 + 2 * half + 1];
    if (p.bias) {
        const __nv_bfloat162 v = *reinterpret_cast<const __nv_bfloat162*>(p.bias + n + i * 8 + 2 * q);
        a += __low2float(v);
        b += __high2float(v);
    }
    return pair(a, b);
}

// A warpgroup's 64 pixels (8 x 8 of a frame), from registers to memory.
template <typename T>
__device__ __forceinline__ void write(const Problem& p, const float (&acc)[T::kN / 2], const Place& at, int frame,
                                      int top) {
    constexpr int kN = T::kN, kFours = kN / 32, kScale = T::kUp ? 2 : 1;
    bfloat_t* out = static_cast<bfloat_t*>(p.out);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4, q = lane % 4;
    const int column = at.w + lane / 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int row = top + 2 * warp + half;
        const bool inside = frame < p.frames && row < p.height && column < p.width;
        const int64_t line = static_cast<int64_t>(frame) * p.height * kScale + row * kScale + at.down;
        const int64_t start = (line * p.width * kScale + column * kScale + at.right) * p.channels_out + at.n;
        uint4 other[kFours];  // all on their way before the first is needed
#pragma unroll
        for (int i = 0; i < kFours; ++i) {
            other[i] = make_uint4(0, 0, 0, 0);
            if (p.add && inside) other[i] = __ldcs(reinterpret_cast<const uint4*>(p.add + start + (4 * i + q) * 8));
        }
#pragma unroll
        for (int i = 0; i < kFours; ++i) {
            uint4 value =
                hopper::transposed(word<kN>(p, acc, 4 * i, half, at.n, q), word<kN>(p, acc, 4 * i + 1, half, at.n, q),
                           word<kN>(p, acc, 4 * i + 2, half, at.n, q), word<kN>(p, acc, 4 * i + 3, half, at.n, q), q);
            if (!inside) continue;
            if (p.add)
                value = make_uint4(sum(value.x, other[i].x), sum(value.y, other[i].y), sum(value.z, other[i].z),
                                   sum(value.w, other[i].w));
            *reinterpret_cast<uint4*>(out + start + (4 * i + q) * 8) = value;
        }
#pragma unroll
        for (int i = 4 * kFours; i < kN / 8; ++i) {
            if (!inside) continue;
            uint32_t value = word<kN>(p, acc, i, half, at.n, q);
            const int64_t to = start + i * 8 + 2 * q;
            if (p.add) value = sum(value, *reinterpret_cast<const uint32_t*>(p.add + to));
            *reinterpret_cast<uint32_t*>(out + to) = value;
        }
    }
}

// As `write`, of a few channels: float32, channel by channel.
template <typename T>
__device__ __forceinline__ void write_planes(const Problem& p, const float (&acc)[T::kN / 2], const Place& at,
                                             int frame, int top) {
    float* out = static_cast<float*>(p.out);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4, q = lane % 4;
    const int column = at.w + lane / 4;
#pragma unroll
    for (int i = 0; i < T::kN / 2; ++i) {
        const int row = top + 2 * warp + i / 2 % 2, channel = i / 4 * 8 + 2 * q + i % 2;
        if (frame >= p.frames || row >= p.height || column >= p.width || channel >= p.channels_out) continue;
        const float bias = p.bias ? __bfloat162float(p.bias[channel]) : 0.f;
        const int64_t plane = static_cast<int64_t>(channel) * p.frames + frame;
        out[(plane * p.height + row) * p.width + column] = acc[i] + bias;
    }
}

template <typename T>
__device__ __forceinline__ void copy(const CUtensorMap* x, const CUtensorMap* weight, const Problem& p, char* stages,
                                     uint64_t* full, uint64_t* empty) {
    int step = 0;
    for (int tile = blockIdx.x; tile < p.tiles; tile += gridDim.x) {
        const Place at = place<T>(p, tile);
        const int n = (at.down * 2 + at.right) * p.channels_out + at.n;
        for (int channel = 0; channel < p.channels_in; channel += kChannels)
            for (int kw = 0; kw < T::kSide; ++kw, ++step) {
                const int s = step % T::kStages;
                char* stage = stages + s * T::kStage;
                hopper::barrier_wait(&empty[s], (step / T::kStages + 1) & 1);
                hopper::barrier_expect(&full[s], T::kStage);
                hopper::copy_5d(stage, x, &full[s], channel, at.w + kw - 1 + at.right, at.h - 1 + at.down, 0,
                                at.t / p.parts);
#pragma unroll
                for (int tap = 0; tap < T::kTaps; ++tap)
                    hopper::copy_3d(stage + T::kPicture + tap * T::kWeight, weight, &full[s], channel,
                                    tap * T::kSide + kw, n);
            }
    }
}

// Calls for what `write` will add while the tile is still being computed.
template <typename T> __device__ __forceinline__ void prefetch_add(const Problem& p, const Place& at) {
    for (int i = threadIdx.x; i < T::kFrames * T::kRows * kWidth; i += kConsumers * 128) {
        const int column = at.w + i % kWidth, row = at.h + i / kWidth % T::kRows;
        const int frame = at.t + i / kWidth / T::kRows;
        if (frame >= p.frames || row >= p.height || column >= p.width) continue;
        const int64_t pixel = (static_cast<int64_t>(frame) * p.height + row) * p.width + column;
        const bfloat_t* start = p.add + pixel * p.channels_out + at.n;
        hopper::prefetch(start);
        hopper::prefetch(start + T::kN - 8);
    }
}

template <typename T>
__device__ __forceinline__ void multiply(const Problem& p, char* stages, uint64_t* full, uint64_t* empty,
                                         int warpgroup) {
    constexpr int kAcross = T::kRows / 8;  // parts of a frame
    const bool leader = threadIdx.x % 32 == 0;
    float acc[T::kParts][T::kN / 2];
    const int steps = p.channels_in / kChannels * T::kSide;
    int step = 0;
    for (int tile = blockIdx.x; tile < p.tiles; tile += gridDim.x) {
        if (p.add) prefetch_add<T>(p, place<T>(p, tile));
        for (int i = 0; i < steps; ++i, ++step) {
            const int s = step % T::kStages;
            hopper::barrier_wait(&full[s], step / T::kStages & 1);
            const uint32_t base = hopper::shared_address(stages + s * T::kStage);
            const uint64_t weight = hopper::descriptor<kRowBytes>(base + T::kPicture);
            uint64_t picture[T::kParts];
#pragma unroll
            for (int part = 0; part < T::kParts; ++part) {
                const int index = warpgroup * T::kParts + part;
                const int group = index / kAcross * T::kSeenRows + index % kAcross * 8;
                picture[part] = hopper::descriptor<kRowBytes>(base + group * kGroup);
            }
            hopper::multiply_begin();
#pragma unroll
            for (int kt = 0; kt < T::kTime; ++kt)
#pragma unroll
                for (int kh = 0; kh < T::kSide; ++kh)
#pragma unroll
                    for (int k = 0; k < kChannels / 16; ++k)
#pragma unroll
                        for (int part = 0; part < T::kParts; ++part)
                            hopper::Multiply<T::kN>::run(
                                acc[part], picture[part] + ((kt * T::kSeenRows + kh) * kGroup + k * 32) / 16,
                                weight + ((kt * T::kSide + kh) * T::kWeight + k * 32) / 16, i + kt + kh + k > 0);
            hopper::multiply_commit();
            if (i > 0) {  // the step before has been read
                hopper::multiply_wait<1>();
                if (leader) hopper::barrier_arrive(&empty[(step - 1) % T::kStages]);
            }
        }
        hopper::multiply_wait<0>();
        if (leader) hopper::barrier_arrive(&empty[(step - 1) % T::kStages]);
        const Place at = place<T>(p, tile);
#pragma unroll
        for (int part = 0; part < T::kParts; ++part) {
#pragma unroll
            for (int i = 0; i < T::kN / 2; ++i) hopper::pin(acc[part][i]);
            const int index = warpgroup * T::kParts + part;
            const int frame = at.t + index / kAcross, top = at.h + index % kAcross * 8;
            if constexpr (T::kN == kFew) write_planes<T>(p, acc[part], at, frame, top);
            else write<T>(p, acc[part], at, frame, top);
        }
    }
}

template <typename T>
__global__ void __launch_bounds__(kThreads, 1)
    conv_kernel(const __grid_constant__ CUtensorMap x, const __grid_constant__ CUtensorMap weight, const Problem p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ __align__(1024) char stages[];
    uint64_t* full = reinterpret_cast<uint64_t*>(stages + T::kStages * T::kStage);
    uint64_t* empty = full + T::kStages;
    if (threadIdx.x == 0) {
        for (int s = 0; s < T::kStages; ++s) {
            hopper::barrier_init(&full[s], 1);
            hopper::barrier_init(&empty[s], kConsumers * 4);
        }
        hopper::barrier_fence();
    }
    __syncthreads();
    const int warpgroup = threadIdx.x / 128;
    if (warpgroup == kConsumers) {
        hopper::fewer_registers<24>();
        if (threadIdx.x % 128 == 0) copy<T>(&x, &weight, p, stages, full, empty);
    } else {
        hopper::more_registers<240>();
        multiply<T>(p, stages, full, empty, warpgroup);
    }
#endif
}

template <typename T> cudaError_t launch(const void* x, const void* weight, Problem p, cudaStream_t stream) {
    const uint64_t c = p.channels_in, w = p.width, h = p.height, parts = p.parts;
    const uint64_t x_sizes[] = {c, w, h, parts, static_cast<uint64_t>(p.frames + T::kTime - 1) / parts};
    const uint64_t x_strides[] = {c * parts, c * parts * w, c, c * parts * w * h};
    const uint32_t x_box[] = {kChannels, kWidth, T::kSeenRows, static_cast<uint32_t>(p.parts),
                              static_cast<uint32_t>((T::kFrames + T::kTime - 1) / p.parts)};
    constexpr uint64_t kAllTaps = T::kTaps * T::kSide;
    const uint64_t weight_sizes[] = {c, kAllTaps, static_cast<uint64_t>(p.channels_out) * (T::kUp ? 4 : 1)};
    const uint64_t weight_strides[] = {c, c * kAllTaps};
    const uint32_t weight_box[] = {kChannels, 1, T::kN};
    CUtensorMap x_map, weight_map;
    if (!hopper::describe<bfloat_t, kRowBytes>(&x_map, x, 5, x_sizes, x_strides, x_box) ||
        !hopper::describe<bfloat_t, kRowBytes>(&weight_map, weight, 3, weight_sizes, weight_strides, weight_box))
        return cudaErrorInvalidValue;
    p.tiles_n = (p.channels_out + T::kN - 1) / T::kN;
    p.tiles_t = (p.frames + T::kFrames - 1) / T::kFrames;
    p.tiles_w = (p.width + kWidth - 1) / kWidth;
    p.tiles = p.tiles_n * (T::kUp ? 4 : 1) * p.tiles_t * p.tiles_w * ((p.height + T::kRows - 1) / T::kRows);
    int device = 0, processors = 0, major = 0, minor = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
    if (major != 9 || minor != 0) return cudaErrorNotSupported;
    const auto kernel = conv_kernel<T>;
    const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, T::kBytes);
    if (error != cudaSuccess) return error;
    kernel<<<p.tiles < processors ? p.tiles : processors, kThreads, T::kBytes, stream>>>(x_map, weight_map, p);
    return cudaGetLastError();
}

// In tiles for so many frames.
template <typename Many, typename Two, typename One>
cudaError_t launch_for(const void* x, const void* weight, const Problem& p, cudaStream_t stream) {
#ifndef WANCORE_ONE_VARIANT
    if (p.frames > 2) return launch<Many>(x, weight, p, stream);
    if (p.frames == 2) return launch<Two>(x, weight, p, stream);
#endif
    return launch<One>(x, weight, p, stream);
}

Problem problem(void* out, const void* bias, const void* add, int64_t frames, int64_t height, int64_t width,
                int64_t channels_in, int64_t channels_out) {
    Problem p{};
    p.out = out;
    p.add = static_cast<const bfloat_t*>(add);
    p.bias = static_cast<const bfloat_t*>(bias);
    p.frames = static_cast<int>(frames);
    p.height = static_cast<int>(height);
    p.width = static_cast<int>(width);
    p.channels_in = static_cast<int>(channels_in);
    p.channels_out = static_cast<int>(channels_out);
    p.parts = 1;
    return p;
}

}  // namespace

// All pointers aligned to 16 bytes; `bias` and `add` may be null; compute capability 9.0; channels_in a multiple
// of 32. `planes` 0: channels_out a multiple of 80 or 96, out bfloat16 [frames, height, width, channels_out];
// 1: up to 16, out float32 [channels_out, frames, height, width], no `add`.
WANCORE_API int wancore_vae_conv(const void* x, const void* weight, const void* bias, const void* add, void* out,
                                 int64_t frames, int64_t height, int64_t width, int64_t channels_in,
                                 int64_t channels_out, int64_t planes, cudaStream_t stream) {
    if (channels_in % kChannels || frames < 1 || (planes && add)) return cudaErrorInvalidValue;
    const Problem p = problem(out, bias, add, frames, height, width, channels_in, channels_out);
    if (planes) {
        if (channels_out > kFew) return cudaErrorInvalidValue;
        using Many = Causal<4, 16, kFew>;
        return launch_for<Many, Many, Causal<1, 32, kFew>>(x, weight, p, stream);
    }
    if (channels_out % 96 == 0)
        return launch_for<Causal<4, 16, 96>, Causal<2, 16, 96>, Causal<1, 32, 96>>(x, weight, p, stream);
    if (channels_out % 80 == 0)
        return launch_for<Causal<4, 16, 80>, Causal<2, 16, 80>, Causal<1, 32, 80>>(x, weight, p, stream);
    return cudaErrorInvalidValue;
}

// x [frames, height, width, parts * channels_in] with `parts` (1 or 2) frames side by side in the channels;
// weight [4 (down, right), channels_out, 2, 2, channels_in]; out [frames * parts, 2 height, 2 width, channels_out].
WANCORE_API int wancore_vae_up_conv(const void* x, const void* weight, const void* bias, void* out, int64_t frames,
                                    int64_t height, int64_t width, int64_t channels_in, int64_t channels_out,
                                    int64_t parts, cudaStream_t stream) {
    if (channels_in % kChannels || frames < 1 || parts < 1 || parts > 2) return cudaErrorInvalidValue;
    Problem p = problem(out, bias, nullptr, frames * parts, height, width, channels_in, channels_out);
    p.parts = static_cast<int>(parts);
    if (channels_out % 96 == 0) return launch_for<Up<4, 96>, Up<2, 96>, Up<1, 96>>(x, weight, p, stream);
    if (channels_out % 128 == 0) return launch_for<Up<2, 128>, Up<2, 128>, Up<1, 128>>(x, weight, p, stream);
    return cudaErrorInvalidValue;
}
