// Initialization+Orthogonal.swift: random matrices with orthonormal rows or columns, by Gram-Schmidt in double.
// Not here: eigenvalues and the like (RengaLinearAlgebra); the value's room stands below it.
import Glibc

extension Tensor {
    /// Fills self, seen as a `rows` x `columns` matrix, with `gain` times orthonormal columns (rows, where those are fewer).
    mutating func fillOrthogonal(rows: Int, columns: Int, gain: Double, _ stream: RandomStream) throws(RengaError) {
        let count = min(rows, columns)
        let length = max(rows, columns)
        let basis = try OrthonormalBasis(count: count, length: length, stream)
        withUnsafeMutableValues { dst in
            for (index, element) in dst.indices.enumerated() {
                let row = index / columns
                let column = index % columns
                let value = columns <= rows ? basis[column, row] : basis[row, column]
                dst[element] = Float(gain * value)
            }
        }
    }
}

/// `count` orthonormal vectors of `length` numbers in a uniformly random position.
private final class OrthonormalBasis {
    private let storage: UnsafeMutablePointer<SIMD8<Double>>
    /// Groups of eight numbers in a vector; those past `length` are 0.
    private let groups: Int

    init(count: Int, length: Int, _ stream: RandomStream) throws(RengaError) {
        groups = (length + 7) / 8
        let bytes = count.saturatingTimes(groups).saturatingTimes(MemoryLayout<SIMD8<Double>>.stride)
        var block: UnsafeMutableRawPointer?
        guard posix_memalign(&block, 64, max(bytes, 64)) == 0, let block else {
            throw RengaError(.outOfMemory, "no memory for \(bytes) bytes of an orthogonal initialisation")
        }
        storage = block.bindMemory(to: SIMD8<Double>.self, capacity: max(count * groups, 1))
        var stream = stream
        for vector in 0..<count {
            draw(vector, length, &stream)
            // One pass leaves an error of the rounding times the loss of length: far below f32 unless the vector almost vanished.
            let drawn = dot(vector, vector)
            removeComponents(of: vector)
            if dot(vector, vector) < 1e-6 * drawn { removeComponents(of: vector) }
            normalise(vector)
        }
    }

    deinit { free(storage) }

    subscript(vector: Int, index: Int) -> Double { storage[vector * groups + index / 8][index % 8] }

    private func draw(_ vector: Int, _ length: Int, _ stream: inout RandomStream) {
        for group in 0..<groups {
            var numbers = SIMD8<Double>.zero
            for lane in 0..<min(8, length - group * 8) { numbers[lane] = stream.normal() }
            storage[vector * groups + group] = numbers
        }
    }

    /// Removes from a vector what it has of the earlier ones (modified Gram-Schmidt).
    private func removeComponents(of vector: Int) {
        let target = storage + vector * groups
        for earlier in 0..<vector {
            let component = dot(earlier, vector)
            let source = storage + earlier * groups
            for group in 0..<groups { target[group] -= component * source[group] }
        }
    }

    private func normalise(_ vector: Int) {
        let norm = dot(vector, vector).squareRoot()
        let numbers = storage + vector * groups
        for group in 0..<groups { numbers[group] /= norm }
    }

    private func dot(_ a: Int, _ b: Int) -> Double {
        let (first, second) = (storage + a * groups, storage + b * groups)
        var sum = SIMD8<Double>.zero
        for group in 0..<groups { sum += first[group] * second[group] }
        return sum.sum()
    }
}
