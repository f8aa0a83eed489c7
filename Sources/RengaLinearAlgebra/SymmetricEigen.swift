// SymmetricEigen.swift: eigenvalues and vectors of a symmetric matrix: A = Q Λ Qᵀ.
// Not here: matrices without symmetry (nothing of Renga needs them).
import CLAPACKE
import RengaNetwork

/// The eigenvalues of a symmetric matrix in rising order, with orthonormal vectors.
package struct SymmetricEigen: Sendable {
    /// How LAPACK computes them.
    package enum Driver: String, Sendable {
        /// Divide and conquer: fast.
        case dsyevd
        /// QR iteration: slower, converges where the other does not.
        case dsyev
    }

    /// Eigenvalues, smallest first. `[n]`
    package let values: [Double]
    /// Column j is the vector of value j. `[n,n]`
    package let vectors: Matrix

    /// Decomposes `matrix`, trying `drivers` in their order. Errors: shapeMismatch (not square), invalidArgument (not
    /// symmetric to 10⁻¹⁰ of its largest element), notFinite, unsupported (too large), outOfMemory, internalFault (no driver converged).
    package init(of matrix: Matrix, drivers: [Driver] = [.dsyevd, .dsyev]) throws(RengaError) {
        try matrix.checkSquare("an eigendecomposition")
        try LAPACK.check(matrix, for: "an eigendecomposition")
        try SymmetricEigen.checkSymmetric(matrix)
        let n = matrix.rows
        let order = Int32(n)
        for driver in drivers {
            var vectors = matrix
            var values = [Double](repeating: 0, count: n)
            let code = try vectors.withMutableValues { a in
                let compute = driver == .dsyevd ? LAPACKE_dsyevd : LAPACKE_dsyev
                return compute(
                    LAPACK_COL_MAJOR, LAPACK.letter("V"), LAPACK.letter("L"), order, a.baseAddress, order, &values)
            }
            guard try LAPACK.succeeded(code, driver.rawValue) else { continue }
            self.values = values
            self.vectors = vectors
            return
        }
        throw RengaError(.internalFault, "no eigenvalue driver converged on a \(n) x \(n) matrix")
    }

    /// The drivers read one triangle only: a matrix that is not symmetric would get a silent wrong answer.
    private static func checkSymmetric(_ matrix: Matrix) throws(RengaError) {
        let n = matrix.rows
        let worst = matrix.withValues { values in
            var largest = 0.0
            var difference = 0.0
            for column in 0..<n {
                for row in 0...column {
                    let upper = values[column * n + row]
                    let lower = values[row * n + column]
                    largest = max(largest, max(abs(upper), abs(lower)))
                    difference = max(difference, abs(upper - lower))
                }
            }
            return (difference, largest)
        }
        guard worst.0 <= 1e-10 * worst.1 else {
            throw RengaError(
                .invalidArgument,
                "the matrix is not symmetric: elements differ by \(worst.0), the largest is \(worst.1)")
        }
    }
}
