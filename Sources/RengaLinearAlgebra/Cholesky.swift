// Cholesky.swift: A = L Lᵀ of a symmetric positive definite matrix, and the solutions of A X = B.
// Not here: least squares by QR.
import CLAPACKE
import RengaNetwork

/// The Cholesky factor of a symmetric positive definite matrix.
package struct Cholesky: Sendable {
    /// L in the lower triangle; what lies above is the matrix's own. `[n,n]`
    private let factor: Matrix

    /// Factorises `matrix`, of which only the lower triangle is read. Errors: shapeMismatch (not square), notFinite,
    /// unsupported (too large), invalidArgument (not positive definite), outOfMemory.
    package init(of matrix: Matrix) throws(RengaError) {
        try matrix.checkSquare("a Cholesky factorisation")
        try LAPACK.check(matrix, for: "a Cholesky factorisation")
        let n = Int32(matrix.rows)
        var factor = matrix
        let code = try factor.withMutableValues { a in
            LAPACKE_dpotrf(LAPACK_COL_MAJOR, LAPACK.letter("L"), n, a.baseAddress, n)
        }
        guard try LAPACK.succeeded(code, "dpotrf") else {
            throw RengaError(.invalidArgument, "the matrix is not positive definite: its leading \(code) rows are not")
        }
        self.factor = factor
    }

    /// X of A X = B, for B `[n,m]`. Errors: shapeMismatch (other rows), notFinite, unsupported (too large), outOfMemory.
    package func solve(_ b: Matrix) throws(RengaError) -> Matrix {
        guard b.rows == factor.rows else {
            throw RengaError(.shapeMismatch, "the right-hand side has \(b.rows) rows, the matrix \(factor.rows)")
        }
        try LAPACK.check(b, for: "a solution")
        let n = Int32(b.rows)
        var x = b
        let code = try x.withMutableValues { x in
            factor.withValues { l in
                LAPACKE_dpotrs(
                    LAPACK_COL_MAJOR, LAPACK.letter("L"), n, Int32(b.columns), l.baseAddress, n, x.baseAddress, n)
            }
        }
        guard try LAPACK.succeeded(code, "dpotrs") else {
            throw RengaError(.internalFault, "dpotrs returned \(code)")
        }
        return x
    }
}
