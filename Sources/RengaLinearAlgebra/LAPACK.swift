// LAPACK.swift: what every call of LAPACKE shares: letters, limits, and what its return codes mean.
// Not here: the factorisations. None may be called inside a parallel region: the implementation may have threads of its own.
import CLAPACKE
import RengaNetwork

enum LAPACK {
    /// Largest side: beyond it the workspace that drivers ask for (about 2 n² doubles) does not fit LAPACK's 32-bit integers.
    static let largestSide = 30_000

    /// A job letter.
    static func letter(_ scalar: Unicode.Scalar) -> CChar { CChar(truncatingIfNeeded: scalar.value) }

    /// Checks a matrix before LAPACK sees it.
    static func check(_ matrix: Matrix, for what: String) throws(RengaError) {
        guard max(matrix.rows, matrix.columns) <= largestSide else {
            throw RengaError(
                .unsupported, "\(what) of a \(matrix.rows) x \(matrix.columns) matrix: at most \(largestSide) a side")
        }
        try matrix.checkFinite(what)
    }

    /// True for success, false where the numbers defeated the driver (a positive code); throws for anything else.
    static func succeeded(_ code: Int32, _ what: String) throws(RengaError) -> Bool {
        guard code >= 0 else {
            guard code != LAPACK_WORK_MEMORY_ERROR else {
                throw RengaError(.outOfMemory, "no memory for the workspace of \(what)")
            }
            throw RengaError(.internalFault, "LAPACK refused argument \(-code) of \(what)")
        }
        return code == 0
    }
}
