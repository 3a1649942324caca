// Rows of float32 as e4m3 codes with a scale each, and how far the codes are from what was meant.
#include "common.cuh"

constexpr int ROW_THREADS = 256;

__device__ __forceinline__ float value_of(uint8_t code) {
    return __half2float(__half(__nv_cvt_fp8_to_halfraw(code, __NV_E4M3)));
}

// The distance between neighbouring codes at one of them: 3 bits of mantissa, subnormal below 2^-6.
__device__ __forceinline__ float step_at(float value) {
    const int exponent = max(static_cast<int>((__float_as_uint(value) >> 23) & 0xff) - 127, -6);
    return __uint_as_float(static_cast<uint32_t>(exponent - 3 + 127) << 23);
}

// One block a row, which is read twice; the second time it comes from the cache. Products, quotients and differences are
// rounded one by one, so that codes and errors are those of the twin.
__global__ void __launch_bounds__(ROW_THREADS)
    requantise_rows(const float* x, uint8_t* codes, float* scales, float4* errors, int64_t vectors) {
    __shared__ float shared[5][MAX_WARPS];
    x += blockIdx.x * vectors * WIDTH;
    codes += blockIdx.x * vectors * WIDTH;
    float largest = 0;
    for (int64_t v = threadIdx.x; v < vectors; v += ROW_THREADS) {
        float values[WIDTH];
        unpack(load_table(x + v * WIDTH), values);
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) largest = fmaxf(largest, fabsf(values[j]));
    }
    largest = over_block<Largest>(largest, shared[0]);
    const float scale = largest > 0 ? __fdiv_rn(largest, FP8_LARGEST) : 1.0f;
    float farthest = 0, squares = 0, size = 0, steps = 0;
    for (int64_t v = threadIdx.x; v < vectors; v += ROW_THREADS) {
        float values[WIDTH], scaled[WIDTH];
        unpack(load(x + v * WIDTH), values);
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) scaled[j] = __fdiv_rn(values[j], scale);
        const uint2 coded = codes_of(scaled, 1.0f);
        *reinterpret_cast<uint2*>(codes + v * WIDTH) = coded;
        const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&coded);
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) {
            const float code = value_of(bytes[j]);
            const float away = fabsf(__fsub_rn(__fmul_rn(code, scale), values[j]));
            const float step = fmaxf(__fmul_rn(step_at(code), scale), 1.17549435e-38f);
            farthest = fmaxf(farthest, away);
            squares += away * away;
            size += values[j] * values[j];
            steps = fmaxf(steps, __fdiv_rn(away, step));
        }
    }
    farthest = over_block<Largest>(farthest, shared[1]);
    squares = over_block<Sum>(squares, shared[2]);
    size = over_block<Sum>(size, shared[3]);
    steps = over_block<Largest>(steps, shared[4]);
    if (threadIdx.x == 0) {
        scales[blockIdx.x] = scale;
        errors[blockIdx.x] = make_float4(farthest, squares, size, steps);
    }
}

// x [rows, width] contiguous; errors [rows, 4]: largest difference, sum of their squares, sum of squares of x,
// largest difference in steps of the format.
WANCORE_API int wancore_requantise(const void* x, void* codes, void* scales, void* errors, int64_t rows,
                                   int64_t width, void* stream) {
    if (rows == 0) return cudaSuccess;
    requantise_rows<<<rows, ROW_THREADS, 0, static_cast<cudaStream_t>(stream)>>>(
        static_cast<const float*>(x), static_cast<uint8_t*>(codes), static_cast<float*>(scales),
        static_cast<float4*>(errors), width / WIDTH);
    return cudaGetLastError();
}
