// SingularValues.swift: the thin singular value decomposition A = U S Vᵀ.
// Not here: which of them to keep (low-rank approximation).
import CLAPACKE
import RengaNetwork

/// Singular values in falling order, with orthonormal vectors on both sides; k = the shorter side.
package struct SingularValues: Sendable {
    /// How LAPACK computes them.
    package enum Driver: String, Sendable {
        /// Divide and conquer: fast.
        case dgesdd
        /// QR iteration: slower, converges where the other does not.
        case dgesvd
    }

    /// Left vectors as columns. `[m,k]`
    package let u: Matrix
    /// Singular values, largest first. `[k]`
    package let values: [Double]
    /// Right vectors as rows. `[k,n]`
    package let vt: Matrix

    /// Decomposes `matrix` `[m,n]`, trying `drivers` in their order. Errors: notFinite, unsupported (too large),
    /// outOfMemory, internalFault (no driver converged).
    package init(of matrix: Matrix, drivers: [Driver] = [.dgesdd, .dgesvd]) throws(RengaError) {
        try LAPACK.check(matrix, for: "a singular value decomposition")
        let k = min(matrix.rows, matrix.columns)
        for driver in drivers {
            var u = try Matrix(rows: matrix.rows, columns: k)
            var vt = try Matrix(rows: k, columns: matrix.columns)
            var values = [Double](repeating: 0, count: k)
            let code = try SingularValues.compute(driver, matrix, &u, &values, &vt)
            guard try LAPACK.succeeded(code, driver.rawValue) else { continue }
            self.u = u
            self.values = values
            self.vt = vt
            return
        }
        throw RengaError(
            .internalFault, "no singular value driver converged on a \(matrix.rows) x \(matrix.columns) matrix")
    }

    private static func compute(
        _ driver: Driver, _ matrix: Matrix, _ u: inout Matrix, _ values: inout [Double], _ vt: inout Matrix
    ) throws(RengaError) -> Int32 {
        let m = Int32(matrix.rows)
        let n = Int32(matrix.columns)
        let k = Int32(u.columns)
        let thin = LAPACK.letter("S")
        // The drivers destroy their matrix.
        var copy = matrix
        return try copy.withMutableValues { (a) throws(RengaError) in
            try u.withMutableValues { (u) throws(RengaError) in
                try vt.withMutableValues { vt in
                    switch driver {
                    case .dgesdd:
                        return LAPACKE_dgesdd(
                            LAPACK_COL_MAJOR, thin, m, n, a.baseAddress, m, &values, u.baseAddress, m, vt.baseAddress, k
                        )
                    case .dgesvd:
                        var superdiagonal = [Double](repeating: 0, count: Int(k))
                        return LAPACKE_dgesvd(
                            LAPACK_COL_MAJOR, thin, thin, m, n, a.baseAddress, m, &values, u.baseAddress, m,
                            vt.baseAddress, k, &superdiagonal)
                    }
                }
            }
        }
    }
}
