// Matrix.swift: owned double-precision matrices for LAPACK: column by column, copied on write, out of memory is an error.
// Not here: products for the hot path (kernels), factorisations (their own files).
import Glibc
import RengaNetwork

/// A dense `rows` x `columns` matrix of doubles; element (i, j) lies at `j rows + i`. A value: copies share storage until one is written.
package struct Matrix: Sendable {
    /// Number of rows, at least 1.
    package let rows: Int
    /// Number of columns, at least 1.
    package let columns: Int
    private var storage: MatrixStorage

    /// A matrix of zeros. Errors: invalidArgument (a side that is not positive or that LAPACK's 32-bit integers cannot
    /// hold), outOfMemory.
    package init(rows: Int, columns: Int) throws(RengaError) {
        guard rows >= 1, columns >= 1, Int32(exactly: rows) != nil, Int32(exactly: columns) != nil else {
            throw RengaError(.invalidArgument, "a matrix cannot have \(rows) x \(columns) elements")
        }
        self.rows = rows
        self.columns = columns
        // Two factors below 2^31 cannot overflow.
        storage = try MatrixStorage(count: rows * columns)
    }

    /// A matrix from its rows, one after another.
    package init(rows: Int, columns: Int, rowMajor values: [Double]) throws(RengaError) {
        try self.init(rows: rows, columns: columns)
        guard values.count == rows * columns else {
            throw RengaError(
                .shapeMismatch, "a \(rows) x \(columns) matrix needs \(rows * columns) values, got \(values.count)")
        }
        try withMutableValues { matrix in
            for (index, value) in values.enumerated() { matrix[index % columns * rows + index / columns] = value }
        }
    }

    /// Element (row, column), which must lie inside.
    package subscript(row: Int, column: Int) -> Double { withValues { $0[column * rows + row] } }

    /// Calls `body` with the elements, column by column; the pointer is valid only inside it.
    package func withValues<R, E: Error>(_ body: (UnsafeBufferPointer<Double>) throws(E) -> R) throws(E) -> R {
        try body(UnsafeBufferPointer(start: storage.base, count: rows * columns))
    }

    /// Calls `body` with the elements for writing; copies them first where the storage is shared, which can fail with outOfMemory.
    package mutating func withMutableValues<R>(
        _ body: (UnsafeMutableBufferPointer<Double>) throws(RengaError) -> R
    ) throws(RengaError) -> R {
        let count = rows * columns
        if !isKnownUniquelyReferenced(&storage) {
            let copy = try MatrixStorage(count: count)
            memcpy(copy.base, storage.base, count * MemoryLayout<Double>.stride)
            storage = copy
        }
        return try body(UnsafeMutableBufferPointer(start: storage.base, count: count))
    }

    /// The first `rows` x `columns` elements as a matrix of their own, neither larger than here.
    func leading(rows: Int, columns: Int) throws(RengaError) -> Matrix {
        var part = try Matrix(rows: rows, columns: columns)
        try part.withMutableValues { dst in
            withValues { src in
                for column in 0..<columns {
                    for row in 0..<rows { dst[column * rows + row] = src[column * self.rows + row] }
                }
            }
        }
        return part
    }

    /// LAPACK hangs or returns nonsense on NaN and infinities.
    func checkFinite(_ what: String) throws(RengaError) {
        let bad = withValues { values in values.firstIndex { !$0.isFinite } }
        if let bad {
            throw RengaError(.notFinite, "\(what): element (\(bad % rows), \(bad / rows)) is not finite")
        }
    }

    /// Errors: shapeMismatch.
    func checkSquare(_ what: String) throws(RengaError) {
        guard rows == columns else {
            throw RengaError(.shapeMismatch, "\(what) needs a square matrix, got \(rows) x \(columns)")
        }
    }
}

/// The block behind a matrix: 64-byte aligned, zeroed, freed with its last owner.
private final class MatrixStorage: @unchecked Sendable {
    let base: UnsafeMutablePointer<Double>

    init(count: Int) throws(RengaError) {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Double>.stride)
        var block: UnsafeMutableRawPointer?
        guard !overflow, posix_memalign(&block, 64, bytes) == 0, let block else {
            throw RengaError(.outOfMemory, "no memory for a matrix of \(count) doubles")
        }
        memset(block, 0, bytes)
        base = block.bindMemory(to: Double.self, capacity: count)
    }

    deinit { free(base) }
}
