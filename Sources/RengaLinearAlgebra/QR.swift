// QR.swift: the thin factorisation A = Q R with orthonormal columns of Q.
// Not here: pivoting.
import CLAPACKE
import RengaNetwork

/// Orthonormal columns times an upper triangle; k = the shorter side.
package struct QR: Sendable {
    /// Orthonormal columns. `[m,k]`
    package let q: Matrix
    /// Zero below the diagonal. `[k,n]`
    package let r: Matrix

    /// Factorises `matrix` `[m,n]`. Errors: notFinite, unsupported (too large), outOfMemory.
    package init(of matrix: Matrix) throws(RengaError) {
        try LAPACK.check(matrix, for: "a QR factorisation")
        let k = min(matrix.rows, matrix.columns)
        let m = Int32(matrix.rows)
        var reflectors = matrix
        var scales = [Double](repeating: 0, count: k)
        let code = try reflectors.withMutableValues { a in
            LAPACKE_dgeqrf(LAPACK_COL_MAJOR, m, Int32(matrix.columns), a.baseAddress, m, &scales)
        }
        guard try LAPACK.succeeded(code, "dgeqrf") else {
            throw RengaError(.internalFault, "dgeqrf returned \(code)")
        }
        r = try QR.upperTriangle(of: reflectors.leading(rows: k, columns: matrix.columns))
        var q = try reflectors.leading(rows: matrix.rows, columns: k)
        let made = try q.withMutableValues { a in
            LAPACKE_dorgqr(LAPACK_COL_MAJOR, m, Int32(k), Int32(k), a.baseAddress, m, scales)
        }
        guard try LAPACK.succeeded(made, "dorgqr") else {
            throw RengaError(.internalFault, "dorgqr returned \(made)")
        }
        self.q = q
    }

    private static func upperTriangle(of matrix: Matrix) throws(RengaError) -> Matrix {
        var upper = matrix
        let rows = matrix.rows
        try upper.withMutableValues { values in
            for column in 0..<min(rows, matrix.columns) {
                for row in column + 1..<rows { values[column * rows + row] = 0 }
            }
        }
        return upper
    }
}
