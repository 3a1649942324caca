// A low-rank branch beside a linear: out += (h * scales) up^T. Every element of `out` is read and written once.
//
// A block computes a tile of 64 x 128, a warp 32 x 64 of it, in m16n8k16 products (PTX ISA, "mma"). Columns are
// dealt to the products of a warp so that the eight values that a thread gets of a row lie side by side.
#include "common.cuh"

constexpr int TILE_ROWS = 64, TILE_COLUMNS = 128;
constexpr int DEPTH = 64;            // of the rank at a time
constexpr int PITCH = DEPTH + WIDTH; // of rows in shared memory: no two of eight in one bank
constexpr int BRANCH_THREADS = 128;
constexpr int VECTORS = DEPTH / WIDTH;

__device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], bfloat_t) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], half_t) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

template <typename T>
struct Branch {
    T* out;
    int64_t out_stride;
    const T* h;
    int64_t h_stride;
    const T* up;          // [columns, rank]
    const float* scales;  // [rank]
    int64_t rows, columns, rank;
};

// Where column `p` of `up` is kept: of every 32, pairs p, p + 8, p + 16, p + 24 make one product of eight.
__device__ __forceinline__ int place_of(int p) { return p / 32 * 32 + p % 8 / 2 * 8 + p % 32 / 8 * 2 + p % 2; }

// Sixteen bytes from global to shared memory past the registers; zeros where there are none.
__device__ __forceinline__ void copy(void* to, const void* from, bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     static_cast<uint32_t>(__cvta_generic_to_shared(to))),
                 "l"(from), "r"(there ? 16 : 0)
                 : "memory");
}

// The part of h (times the scales) and of `up` from `start` of the rank on, into shared memory.
template <typename T>
__device__ __forceinline__ void fill(const Branch<T>& p, T* left, T* right, int64_t row, int64_t column, int64_t start) {
    constexpr int OF_LEFT = TILE_ROWS * VECTORS / BRANCH_THREADS, OF_RIGHT = TILE_COLUMNS * VECTORS / BRANCH_THREADS;
    const int line = threadIdx.x / VECTORS, at = threadIdx.x % VECTORS * WIDTH;
    constexpr int LINES = BRANCH_THREADS / VECTORS;
    if (start + at >= p.rank) return;
#pragma unroll
    for (int i = 0; i < OF_RIGHT; ++i) {
        const bool there = column + line + i * LINES < p.columns;
        copy(right + place_of(line + i * LINES) * PITCH + at,
             there ? p.up + (column + line + i * LINES) * p.rank + start + at : p.up, there);
    }
    Vector<T> h[OF_LEFT];
#pragma unroll
    for (int i = 0; i < OF_LEFT; ++i) {
        h[i] = Vector<T>{};
        if (row + line + i * LINES < p.rows) h[i] = load_table(p.h + (row + line + i * LINES) * p.h_stride + start + at);
    }
    float scales[WIDTH];
    unpack(load_table(p.scales + start + at), scales);
#pragma unroll
    for (int i = 0; i < OF_LEFT; ++i) {
        float values[WIDTH];
        unpack(h[i], values);
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) values[j] *= scales[j];
        store(left + (line + i * LINES) * PITCH + at, pack<T>(values));
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
}

__device__ __forceinline__ uint32_t pair(const void* at) { return *static_cast<const uint32_t*>(at); }

template <typename T>
__global__ void __launch_bounds__(BRANCH_THREADS, 3) add_low_rank(Branch<T> p) {
    __shared__ __align__(16) T left[TILE_ROWS * PITCH], right[TILE_COLUMNS * PITCH];
    const int warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, lane = threadIdx.x % 4;
    const int own_row = warp % 2 * 32 + group, own_column = warp / 2 * 64;
    const int64_t row = static_cast<int64_t>(blockIdx.y) * TILE_ROWS;
    const int64_t column = static_cast<int64_t>(blockIdx.x) * TILE_COLUMNS;
    Vector<T> kept[2][2][2];  // of product rows, their halves, and 32 columns
    T* own = p.out + (row + own_row) * p.out_stride + column + own_column + lane * WIDTH;
    const int64_t rows_left = p.rows - row - own_row, columns_left = p.columns - column - own_column - lane * WIDTH;
    const auto at = [&](int m, int half, int c) { return own + (m * 16 + half * 8) * p.out_stride + c * 32; };
    const auto inside = [&](int m, int half, int c) { return m * 16 + half * 8 < rows_left && c * 32 < columns_left; };
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        if (inside(i / 4, i / 2 % 2, i % 2)) kept[i / 4][i / 2 % 2][i % 2] = load(at(i / 4, i / 2 % 2, i % 2));
    }
    fill(p, left, right, row, column, 0);
    __syncthreads();
    float sums[2][2][4][4] = {};
    for (int64_t start = 0;;) {
#pragma unroll 1  // what waits for the sums fills the registers
        for (int k = 0; k < DEPTH && start + k < p.rank; k += 16) {
            uint32_t a[2][4];
#pragma unroll
            for (int m = 0; m < 2; ++m) {
                const T* first = left + (own_row + m * 16) * PITCH + k + 2 * lane;
                a[m][0] = pair(first), a[m][1] = pair(first + 8 * PITCH);
                a[m][2] = pair(first + 8), a[m][3] = pair(first + 8 * PITCH + 8);
            }
#pragma unroll
            for (int i = 0; i < 8; ++i) {
                const T* first = right + (own_column + i * 8 + group) * PITCH + k + 2 * lane;
                const uint32_t b[2] = {pair(first), pair(first + 8)};
#pragma unroll
                for (int m = 0; m < 2; ++m) multiply(sums[m][i / 4][i % 4], a[m], b, T{});
            }
        }
        start += DEPTH;
        if (start >= p.rank) break;
        __syncthreads();
        fill(p, left, right, row, column, start);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const int m = i / 4, half = i / 2 % 2, c = i % 2;
        if (!inside(m, half, c)) continue;
        float values[WIDTH];
        unpack(kept[m][half][c], values);
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) values[j] += sums[m][c][j / 2][half * 2 + j % 2];
        store(at(m, half, c), pack<T>(values));
    }
}

template <typename T>
cudaError_t launch(const Branch<T>& p, cudaStream_t stream) {
    const dim3 grid((p.columns + TILE_COLUMNS - 1) / TILE_COLUMNS, (p.rows + TILE_ROWS - 1) / TILE_ROWS);
    add_low_rank<T><<<grid, BRANCH_THREADS, 0, stream>>>(p);
    return cudaGetLastError();
}

// out [rows, columns] and h [rows, rank] with strides in elements, up [columns, rank] contiguous, scales [rank] float32;
// columns a multiple of 8, rank of 16.
WANCORE_API int wancore_low_rank(void* out, int64_t out_stride, const void* h, int64_t h_stride, const void* up,
                                 const void* scales, int64_t rows, int64_t columns, int64_t rank, int64_t dtype,
                                 void* stream) {
    if (rows == 0 || columns == 0) return cudaSuccess;
    const auto run = [&](auto type) {
        using T = decltype(type);
        return launch(Branch<T>{static_cast<T*>(out), out_stride, static_cast<const T*>(h), h_stride,
                                static_cast<const T*>(up), static_cast<const float*>(scales), rows, columns, rank},
                      static_cast<cudaStream_t>(stream));
    };
    switch (dtype) {
#ifndef WANCORE_ONE_VARIANT
        case FLOAT16: return run(half_t{});
#endif
        case BFLOAT16: return run(bfloat_t{});
        default: return cudaErrorInvalidValue;
    }
}
