// RMSNorm over the whole width of queries and keys, and their rotation head by head, in one launch.
#include "common.cuh"

template <typename T>
struct Operand {
    const T* x;  // may be what `out` is
    int64_t x_stride;
    const T* weight;  // [D]; may be null
    T* out;
    int64_t out_stride;
    T* plain;  // [rows, D], normed but not rotated; may be null
};

template <typename T>
struct Normed {
    Operand<T> operands[2];
    const float *cos, *sin;  // [rows, head / 2]; null: no rotation
    int64_t head, vectors;
    float eps;
};

// One block a row of one operand (blockIdx.y).
template <typename T, int NV>
__global__ void __launch_bounds__(MAX_THREADS) norm_rotate(const Normed<T> p) {
    __shared__ float shared[MAX_WARPS];
    const Operand<T>& operand = p.operands[blockIdx.y];
    const int64_t row = blockIdx.x;
    Vector<T> raw[NV];
#pragma unroll
    for (int i = 0; i < NV; ++i) {
        const int64_t v = i * blockDim.x + threadIdx.x;
        if (v < p.vectors) raw[i] = load(operand.x + row * operand.x_stride + v * WIDTH);
    }
    float squares = 0;
#pragma unroll
    for (int i = 0; i < NV; ++i) {
        const int64_t v = i * blockDim.x + threadIdx.x;
        if (v >= p.vectors) continue;
        float values[WIDTH];
        unpack(raw[i], values);
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) squares = fmaf(values[j], values[j], squares);
    }
    const float width = p.vectors * WIDTH;
    const float inverse = rsqrtf(over_block<Sum>(squares, shared) / width + p.eps);
    const int head = p.head, half = head / 2;
#pragma unroll
    for (int i = 0; i < NV; ++i) {
        const int v = i * blockDim.x + threadIdx.x;
        if (v >= p.vectors) continue;
        float values[WIDTH], weight[WIDTH];
        unpack(raw[i], values);
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) values[j] *= inverse;
        if (operand.weight) {
            unpack(load_table(operand.weight + v * WIDTH), weight);
#pragma unroll
            for (int j = 0; j < WIDTH; ++j) values[j] *= weight[j];
        }
        if (operand.plain) store(operand.plain + (row * p.vectors + v) * WIDTH, pack<T>(values));
        if (p.cos) {
            const int64_t at = row * half + v * WIDTH % head / 2;
            const float4 c = __ldg(reinterpret_cast<const float4*>(p.cos + at));
            const float4 s = __ldg(reinterpret_cast<const float4*>(p.sin + at));
            const float cosines[] = {c.x, c.y, c.z, c.w}, sines[] = {s.x, s.y, s.z, s.w};
#pragma unroll
            for (int j = 0; j < WIDTH / 2; ++j) {
                const float even = values[2 * j], odd = values[2 * j + 1];
                values[2 * j] = even * cosines[j] - odd * sines[j];
                values[2 * j + 1] = even * sines[j] + odd * cosines[j];
            }
        }
        store(operand.out + row * operand.out_stride + v * WIDTH, pack<T>(values));
    }
}

// q and, unless null, k; sizes and strides in elements; a head is a multiple of eight elements.
WANCORE_API int wancore_norm_rotate(
    const void* q, int64_t q_stride, const void* q_weight, void* q_out, int64_t q_out_stride, void* q_plain,
    const void* k, int64_t k_stride, const void* k_weight, void* k_out, int64_t k_out_stride,
    const void* cos, const void* sin, float eps,
    int64_t rows, int64_t width, int64_t head, int64_t dtype, void* stream) {
    if (rows == 0) return cudaSuccess;
    const Spread plan = spread(width / WIDTH);
    return with_type(dtype, [&](auto type) {
        using T = decltype(type);
        auto in = [](const void* p) { return static_cast<const T*>(p); };
        auto out = [](void* p) { return static_cast<T*>(p); };
        const Normed<T> p{{{in(q), q_stride, in(q_weight), out(q_out), q_out_stride, out(q_plain)},
                           {in(k), k_stride, in(k_weight), out(k_out), k_out_stride, nullptr}},
                          static_cast<const float*>(cos), static_cast<const float*>(sin), head,
                          width / WIDTH, eps};
        return with_share(plan.per_thread, [&](auto count) {
            const dim3 grid(rows, k ? 2 : 1);
            norm_rotate<T, decltype(count)::value>
                <<<grid, plan.threads, 0, static_cast<cudaStream_t>(stream)>>>(p);
            return cudaGetLastError();
        });
    });
}
