// What the video autoencoder does between its convolutions, over frames that lie channels last
// [frames, pixels, channels]. Each function launches on `stream` and returns a cudaError_t.

#include "common.cuh"

namespace {

constexpr int kThreads = 256;
constexpr int kBlocksPerProcessor = 16;

enum Activation { kCopy = 0, kNorm = 1, kNormSilu = 2 };

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(__half x) { return __half2float(x); }
__device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }
template <typename T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) { return x; }
template <> __device__ __forceinline__ __half from_float<__half>(float x) { return __float2half_rn(x); }
template <> __device__ __forceinline__ __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
    return __float2bfloat16_rn(x);
}

// Sixteen bytes: what one thread reads or writes at once.
template <typename T> struct alignas(16) Pack {
    static constexpr int kSize = 16 / sizeof(T);
    T values[kSize];
};

template <typename T> __device__ __forceinline__ Pack<T> zeros() {
    Pack<T> v;
#pragma unroll
    for (int i = 0; i < Pack<T>::kSize; ++i) v.values[i] = from_float<T>(0.f);
    return v;
}

template <typename T> struct ExtendArguments {
    const Pack<T>* x;         // [frames, pixels, channels]
    const T* gamma;             // [channels]
    Pack<T>* history;         // [past, pixels, channels], read and replaced
    Pack<T>* out;             // [past + frames, pixels, channels]
    int items;                  // frames * pixels
    int pixels;
    int past;                   // 0, 1 or 2
    int first;                  // nothing has been seen yet: the history counts as zeros
    int vectors;                // of a pixel
    int lanes;                  // threads of a pixel, a power of two
    float eps;
    int kind;
};

// `lanes` threads share a pixel and hold V vectors each, `lanes` apart.
template <typename T, int V>
__global__ void __launch_bounds__(kThreads) extend_kernel(const ExtendArguments<T> a) {
    constexpr int N = Pack<T>::kSize;
    const int lane = threadIdx.x % a.lanes;
    const int group = (blockIdx.x * kThreads + threadIdx.x) / a.lanes;
    const int groups = gridDim.x * kThreads / a.lanes;
    float gain[V][N];
    if (a.kind != kCopy) {
#pragma unroll
        for (int v = 0; v < V; ++v)
#pragma unroll
            for (int i = 0; i < N; ++i) gain[v][i] = to_float(a.gamma[(lane + v * a.lanes) * N + i]);
    }
    const int rounds = (a.items + groups - 1) / groups;
    for (int round = 0; round < rounds; ++round) {
        const int item = group + round * groups;
        const bool valid = item < a.items;
        Pack<T> data[V];
        const int64_t from = static_cast<int64_t>(item) * a.vectors + lane;
#pragma unroll
        for (int v = 0; v < V; ++v) data[v] = valid ? a.x[from + v * a.lanes] : zeros<T>();
        if (a.kind != kCopy) {
            float sum = 0.f;
#pragma unroll
            for (int v = 0; v < V; ++v)
#pragma unroll
                for (int i = 0; i < N; ++i) {
                    const float x = to_float(data[v].values[i]);
                    sum += x * x;
                }
            for (int step = a.lanes / 2; step > 0; step /= 2)
                sum += __shfl_xor_sync(0xffffffffu, sum, step);
            const float scale = rsqrtf(sum / (a.vectors * N) + a.eps);
#pragma unroll
            for (int v = 0; v < V; ++v)
#pragma unroll
                for (int i = 0; i < N; ++i) {
                    float x = to_float(data[v].values[i]) * scale * gain[v][i];
                    if (a.kind == kNormSilu) x = __fdividef(x, 1.f + __expf(-x));
                    data[v].values[i] = from_float<T>(x);
                }
        }
        if (!valid) continue;
        const int64_t to = from + static_cast<int64_t>(a.past) * a.pixels * a.vectors;
#pragma unroll
        for (int v = 0; v < V; ++v) a.out[to + v * a.lanes] = data[v];
        // The last `past` frames take the place of the history, which moves to the front of `out`.
        const int slot = item - (a.items - a.past * a.pixels);
        if (slot < 0) continue;
        const int64_t at = static_cast<int64_t>(slot) * a.vectors + lane;
        if (slot >= a.pixels && a.items == a.pixels) {  // one frame: the later of two slots becomes the earlier
            const int64_t before = at - static_cast<int64_t>(a.pixels) * a.vectors;
#pragma unroll
            for (int v = 0; v < V; ++v) {
                const int64_t j = before + v * a.lanes;
                a.out[j] = a.first ? zeros<T>() : a.history[j];
                a.history[j] = a.first ? zeros<T>() : a.history[at + v * a.lanes];
            }
        }
#pragma unroll
        for (int v = 0; v < V; ++v) {
            const int64_t j = at + v * a.lanes;
            a.out[j] = a.first ? zeros<T>() : a.history[j];
            a.history[j] = data[v];
        }
    }
}

int processors() {
    static int count[64] = {};
    int device = 0;
    cudaGetDevice(&device);
    if (device < 0 || device >= 64) return 1;
    if (count[device] == 0) cudaDeviceGetAttribute(&count[device], cudaDevAttrMultiProcessorCount, device);
    return count[device];
}

int blocks_for(int64_t threads) {
    const int64_t wanted = (threads + kThreads - 1) / kThreads;
    const int64_t most = static_cast<int64_t>(processors()) * kBlocksPerProcessor;
    return static_cast<int>(wanted < most ? wanted : most);
}

template <typename T>
cudaError_t extend(const void* x, const void* gamma, void* history, void* out, int64_t frames, int64_t pixels,
           int64_t channels, int64_t past, int64_t first, int64_t kind, float eps, cudaStream_t stream) {
    ExtendArguments<T> a{static_cast<const Pack<T>*>(x), static_cast<const T*>(gamma),
                         static_cast<Pack<T>*>(history), static_cast<Pack<T>*>(out)};
    constexpr int N = Pack<T>::kSize;
    a.items = static_cast<int>(frames * pixels);
    a.pixels = static_cast<int>(pixels);
    a.past = static_cast<int>(past);
    a.first = static_cast<int>(first);
    a.vectors = static_cast<int>(channels / N);
    a.eps = eps;
    a.kind = static_cast<int>(kind);
    if (channels % N || past < 0 || past > 2 || frames < 1) return cudaErrorInvalidValue;
    // The fewest vectors a thread, so that the threads of a pixel are a power of two within a warp.
    for (int v = 1; v <= 5; ++v) {
        a.lanes = a.vectors / v;
        if (a.vectors % v || a.lanes > 32 || (a.lanes & (a.lanes - 1))) continue;
        const int blocks = blocks_for(static_cast<int64_t>(a.items) * a.lanes);
        return with_count(v, [&](auto count) {
            extend_kernel<T, decltype(count)::value><<<blocks, kThreads, 0, stream>>>(a);
            return cudaGetLastError();
        });
    }
    return cudaErrorInvalidValue;
}

// x [frames, height, width, parts * vectors] -> out [frames * parts, 2 height, 2 width, vectors]
__global__ void __launch_bounds__(kThreads)
    upsample_kernel(const uint4* x, uint4* out, int rows, int height, int width, int parts, int vectors) {
    const int of_row = width * parts * vectors;  // 16-byte vectors of a row of `x`
    for (int row = blockIdx.x; row < rows; row += gridDim.x) {
        const int frame = row / height, line = row % height;
        for (int i = threadIdx.x; i < of_row; i += kThreads) {
            const int pixel = i / vectors, c = i % vectors;
            const int column = pixel / parts, part = pixel % parts;
            const uint4 value = x[static_cast<int64_t>(row) * of_row + i];
            const int64_t line_out = static_cast<int64_t>(frame * parts + part) * 2 * height + 2 * line;
            uint4* to = out + (line_out * 2 * width + 2 * column) * vectors + c;
            const int64_t down = static_cast<int64_t>(2) * width * vectors;
            to[0] = value;
            to[vectors] = value;
            to[down] = value;
            to[down + vectors] = value;
        }
    }
}

// y [pixels, channels] += bias [channels] + add (or null)
template <typename T>
__global__ void __launch_bounds__(kThreads)
    add_kernel(Pack<T>* y, const Pack<T>* bias, const Pack<T>* add, int64_t total, int vectors) {
    constexpr int N = Pack<T>::kSize;
    for (int64_t i = blockIdx.x * kThreads + threadIdx.x; i < total; i += gridDim.x * kThreads) {
        Pack<T> value = y[i];
        const Pack<T> offset = bias[i % vectors], other = add ? add[i] : zeros<T>();
#pragma unroll
        for (int k = 0; k < N; ++k)
            value.values[k] = from_float<T>(to_float(value.values[k]) + to_float(offset.values[k]) +
                                            to_float(other.values[k]));
        y[i] = value;
    }
}

struct Shortcut {
    int frames, height, width, channels;  // of y
    int x_channels;
    int time, space;
    int skip;   // frames of the unfolded x before the first of y
    int share;  // channels that one channel of x becomes, or that become one channel of y
};

// y += x, each channel of x repeated `share` times, then unfolded channel, time, row, column.
template <typename T> __global__ void __launch_bounds__(kThreads) repeat_kernel(T* y, const T* x, const Shortcut s) {
    constexpr int N = Pack<T>::kSize;
    const int vectors = s.channels / N;
    const int64_t total = static_cast<int64_t>(s.frames) * s.height * s.width * vectors;
    for (int64_t i = blockIdx.x * kThreads + threadIdx.x; i < total; i += gridDim.x * kThreads) {
        const int pixel = static_cast<int>(i / vectors), first = static_cast<int>(i % vectors) * N;
        const int column = pixel % s.width, row = pixel / s.width % s.height;
        const int frame = pixel / s.width / s.height + s.skip;
        const int64_t x_pixel =
            (static_cast<int64_t>(frame / s.time) * (s.height / s.space) + row / s.space) * (s.width / s.space) +
            column / s.space;
        const int offset = (frame % s.time * s.space + row % s.space) * s.space + column % s.space;
        const int fold = s.time * s.space * s.space;
        Pack<T>* to = reinterpret_cast<Pack<T>*>(y) + i;
        Pack<T> value = *to;
#pragma unroll
        for (int k = 0; k < N; ++k) {
            const int channel = ((first + k) * fold + offset) / s.share;
            value.values[k] =
                from_float<T>(to_float(value.values[k]) + to_float(x[x_pixel * s.x_channels + channel]));
        }
        *to = value;
    }
}

// y += the mean of `share` consecutive channels of x, folded channel, time, row, column.
template <typename T> __global__ void __launch_bounds__(kThreads) average_kernel(T* y, const T* x, const Shortcut s) {
    constexpr int N = Pack<T>::kSize;
    const int vectors = s.channels / N;
    const int64_t total = static_cast<int64_t>(s.frames) * s.height * s.width * vectors;
    const int width = s.width * s.space, height = s.height * s.space;
    for (int64_t i = blockIdx.x * kThreads + threadIdx.x; i < total; i += gridDim.x * kThreads) {
        const int pixel = static_cast<int>(i / vectors), first = static_cast<int>(i % vectors) * N;
        const int column = pixel % s.width, row = pixel / s.width % s.height, frame = pixel / s.width / s.height;
        Pack<T>* to = reinterpret_cast<Pack<T>*>(y) + i;
        Pack<T> value = *to;
#pragma unroll
        for (int k = 0; k < N; ++k) {
            float sum = 0.f;
            for (int j = 0; j < s.share; ++j) {
                const int folded = (first + k) * s.share + j;
                const int across = folded % s.space, down = folded / s.space % s.space;
                const int later = folded / (s.space * s.space) % s.time;
                const int channel = folded / (s.space * s.space * s.time);
                const int at = frame * s.time + later - s.skip;
                if (at < 0) continue;
                const int64_t x_pixel = (static_cast<int64_t>(at) * height + row * s.space + down) * width +
                                        column * s.space + across;
                sum += to_float(x[x_pixel * s.x_channels + channel]);
            }
            value.values[k] = from_float<T>(to_float(value.values[k]) + sum / s.share);
        }
        *to = value;
    }
}

template <typename T>
cudaError_t shortcut(void* y, const void* x, const Shortcut& s, bool repeats, cudaStream_t stream) {
    if (s.channels % Pack<T>::kSize) return cudaErrorInvalidValue;
    const int64_t threads =
        static_cast<int64_t>(s.frames) * s.height * s.width * (s.channels / Pack<T>::kSize);
    const int blocks = blocks_for(threads);
    if (repeats) repeat_kernel<T><<<blocks, kThreads, 0, stream>>>(static_cast<T*>(y), static_cast<const T*>(x), s);
    else average_kernel<T><<<blocks, kThreads, 0, stream>>>(static_cast<T*>(y), static_cast<const T*>(x), s);
    return cudaGetLastError();
}

}  // namespace

// out = [history, f(x)] along the frames, history = the last `past` frames of out; f by `kind`: nothing,
// RMS norm over the channels times gamma, or that and SiLU.
WANCORE_API int wancore_vae_extend(const void* x, const void* gamma, void* history, void* out, int64_t frames,
                                   int64_t pixels, int64_t channels, int64_t past, int64_t first, int64_t kind,
                                   float eps, int64_t dtype, cudaStream_t stream) {
    if (frames * pixels >= INT32_MAX || kind < kCopy || kind > kNormSilu) return cudaErrorInvalidValue;
    return with_type(dtype, [&](auto zero) {
        return extend<decltype(zero)>(x, gamma, history, out, frames, pixels, channels, past, first, kind, eps,
                                      stream);
    });
}

// y [pixels, channels] += bias [channels] + add [pixels, channels], which may be null.
WANCORE_API int wancore_vae_add(void* y, const void* bias, const void* add, int64_t pixels, int64_t channels,
                                int64_t dtype, cudaStream_t stream) {
    return with_type(dtype, [&](auto zero) {
        using T = decltype(zero);
        const int64_t vectors = channels / Pack<T>::kSize;
        if (channels % Pack<T>::kSize || pixels < 1) return cudaErrorInvalidValue;
        add_kernel<T><<<blocks_for(pixels * vectors), kThreads, 0, stream>>>(
            static_cast<Pack<T>*>(y), static_cast<const Pack<T>*>(bias), static_cast<const Pack<T>*>(add),
            pixels * vectors, static_cast<int>(vectors));
        return cudaGetLastError();
    });
}

// Every pixel twice in each direction. `parts` frames lie side by side in the channels of one of `x`;
// `bytes`: of the channels of one of these frames.
WANCORE_API int wancore_vae_upsample(const void* x, void* out, int64_t frames, int64_t height, int64_t width,
                                     int64_t parts, int64_t bytes, cudaStream_t stream) {
    const int64_t rows = frames * height;
    if (bytes % 16 || rows < 1 || rows >= INT32_MAX) return cudaErrorInvalidValue;
    const int64_t most = static_cast<int64_t>(processors()) * 8;
    upsample_kernel<<<static_cast<int>(rows < most ? rows : most), kThreads, 0, stream>>>(
        static_cast<const uint4*>(x), static_cast<uint4*>(out), static_cast<int>(rows), static_cast<int>(height),
        static_cast<int>(width), static_cast<int>(parts), static_cast<int>(bytes / 16));
    return cudaGetLastError();
}

// The parameter-free shortcuts of Wan 2.2, added to y [frames, height, width, channels].
WANCORE_API int wancore_vae_shortcut(void* y, const void* x, int64_t frames, int64_t height, int64_t width,
                                     int64_t channels, int64_t x_channels, int64_t time, int64_t space,
                                     int64_t skip, int64_t share, int64_t repeats, int64_t dtype,
                                     cudaStream_t stream) {
    if (frames * height * width >= INT32_MAX) return cudaErrorInvalidValue;
    const Shortcut s{static_cast<int>(frames), static_cast<int>(height), static_cast<int>(width),
                     static_cast<int>(channels), static_cast<int>(x_channels), static_cast<int>(time),
                     static_cast<int>(space), static_cast<int>(skip), static_cast<int>(share)};
    return with_type(dtype, [&](auto zero) { return shortcut<decltype(zero)>(y, x, s, repeats, stream); });
}
