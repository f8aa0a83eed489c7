// FactorisationTests.swift: every factorisation against its definition: products give the matrix back, vectors are orthonormal.
// Not here: speed.
import RengaLinearAlgebra
import RengaNetwork
import TestSupport
import XCTest

final class FactorisationTests: XCTestCase {
    private func random(_ rows: Int, _ columns: Int, seed: UInt64 = 1) throws -> Matrix {
        var stream = RandomStream(seed: seed, purpose: .initialisation)
        return try Matrix(rows: rows, columns: columns, rowMajor: (0..<rows * columns).map { _ in stream.normal() })
    }

    private func product(_ a: Matrix, _ b: Matrix) throws -> Matrix {
        var values: [Double] = []
        for i in 0..<a.rows {
            for j in 0..<b.columns { values.append((0..<a.columns).reduce(0) { $0 + a[i, $1] * b[$1, j] }) }
        }
        return try Matrix(rows: a.rows, columns: b.columns, rowMajor: values)
    }

    private func transposed(_ a: Matrix) throws -> Matrix {
        try Matrix(
            rows: a.columns, columns: a.rows,
            rowMajor: (0..<a.columns).flatMap { j in (0..<a.rows).map { a[$0, j] } })
    }

    private func diagonal(_ values: [Double]) throws -> Matrix {
        let n = values.count
        return try Matrix(
            rows: n, columns: n, rowMajor: (0..<n * n).map { $0 % n == $0 / n ? values[$0 % n] : 0 })
    }

    private func identity(_ n: Int) throws -> Matrix { try diagonal([Double](repeating: 1, count: n)) }

    private func assertEqual(_ a: Matrix, _ b: Matrix, scale: Double = 1, line: UInt = #line) {
        XCTAssertEqual([a.rows, a.columns], [b.rows, b.columns], line: line)
        for i in 0..<a.rows {
            for j in 0..<a.columns { XCTAssertEqual(a[i, j], b[i, j], accuracy: 1e-12 * scale, line: line) }
        }
    }

    /// Random, of low rank, with equal eigenvalues, tiny and huge.
    private func symmetric() throws -> [(Matrix, Double)] {
        var cases: [(Matrix, Double)] = []
        for n in [1, 2, 3, 17, 40] {
            let a = try random(n, n)
            cases.append((try product(a, transposed(a)), 1e3))
        }
        let thin = try random(20, 3)
        cases.append((try product(thin, transposed(thin)), 1e3))
        cases.append((try identity(9), 1))
        cases.append((try diagonal([3e150, 1e150, -2e150]), 1e152))
        cases.append((try diagonal([3e-150, 1e-150, 0]), 1e-148))
        cases.append((try Matrix(rows: 2, columns: 2, rowMajor: [0, 0, 0, 0]), 1))
        return cases
    }

    func testSymmetricEigen() throws {
        for driver in [SymmetricEigen.Driver.dsyevd, .dsyev] {
            for (a, scale) in try symmetric() {
                let eigen = try SymmetricEigen(of: a, drivers: [driver])
                XCTAssertEqual(eigen.values, eigen.values.sorted())
                let q = eigen.vectors
                assertEqual(try product(transposed(q), q), try identity(a.rows))
                assertEqual(try product(product(q, diagonal(eigen.values)), transposed(q)), a, scale: scale)
            }
        }
        let known = try SymmetricEigen(of: Matrix(rows: 2, columns: 2, rowMajor: [2, 1, 1, 2]))
        XCTAssertEqual(known.values[0], 1, accuracy: 1e-15)
        XCTAssertEqual(known.values[1], 3, accuracy: 1e-15)
    }

    func testSingularValues() throws {
        let low = try product(random(12, 2), random(2, 9, seed: 2))
        let shapes = [(1, 1), (1, 5), (5, 1), (7, 7), (23, 11), (11, 23)]
        for driver in [SingularValues.Driver.dgesdd, .dgesvd] {
            for a in try shapes.map({ try random($0.0, $0.1) }) + [low, try identity(4), Matrix(rows: 3, columns: 2)] {
                let svd = try SingularValues(of: a, drivers: [driver])
                let k = min(a.rows, a.columns)
                XCTAssertEqual(svd.values, svd.values.sorted(by: >))
                XCTAssert(svd.values.allSatisfy { $0 >= 0 })
                assertEqual(try product(transposed(svd.u), svd.u), try identity(k))
                assertEqual(try product(svd.vt, transposed(svd.vt)), try identity(k))
                assertEqual(try product(product(svd.u, diagonal(svd.values)), svd.vt), a, scale: 100)
            }
        }
        let rank = try SingularValues(of: low).values
        XCTAssert(rank[1] > 1e-3 && rank[2] < 1e-12, "rank 2: \(rank)")
    }

    func testCholeskySolves() throws {
        for n in [1, 2, 5, 30] {
            let g = try random(n, n + 3)
            let a = try product(g, transposed(g))
            let x = try random(n, 4, seed: 9)
            assertEqual(try Cholesky(of: a).solve(product(a, x)), x, scale: 1e6)
        }
        expect(.invalidArgument, "not positive definite", "2 rows") {
            _ = try Cholesky(of: Matrix(rows: 2, columns: 2, rowMajor: [1, 2, 2, 1]))
        }
        expect(.shapeMismatch, "3 rows") { _ = try Cholesky(of: self.identity(2)).solve(self.random(3, 1)) }
    }

    func testQR() throws {
        for (m, n) in [(1, 1), (6, 6), (13, 5), (5, 13), (1, 4), (4, 1)] {
            let a = try random(m, n)
            let qr = try QR(of: a)
            assertEqual(try product(transposed(qr.q), qr.q), try identity(min(m, n)))
            assertEqual(try product(qr.q, qr.r), a, scale: 100)
            for j in 0..<n {
                for i in 0..<min(m, n) where i > j { XCTAssertEqual(qr.r[i, j], 0) }
            }
        }
    }

    func testInputsStayAsTheyWere() throws {
        let a = try product(random(4, 4), transposed(random(4, 4)))
        let before = a.withValues { Array($0) }
        _ = try (SymmetricEigen(of: a), SingularValues(of: a), QR(of: a), Cholesky(of: a))
        XCTAssertEqual(a.withValues { Array($0) }, before)
    }

    func testRefusesWhatCannotBe() throws {
        for (value, row, column) in [(Double.nan, 0, 0), (.infinity, 1, 2), (-.infinity, 2, 1)] {
            var values = [Double](repeating: 1, count: 9)
            values[row * 3 + column] = value
            let bad = try Matrix(rows: 3, columns: 3, rowMajor: values)
            let place = "(\(row), \(column))"
            expect(.notFinite, place) { _ = try SymmetricEigen(of: bad) }
            expect(.notFinite, place) { _ = try SingularValues(of: bad) }
            expect(.notFinite, place) { _ = try QR(of: bad) }
            expect(.notFinite, place) { _ = try Cholesky(of: bad) }
        }
        expect(.shapeMismatch, "2 x 3") { _ = try SymmetricEigen(of: Matrix(rows: 2, columns: 3)) }
        expect(.shapeMismatch, "3 x 2") { _ = try Cholesky(of: Matrix(rows: 3, columns: 2)) }
        expect(.invalidArgument, "not symmetric") {
            _ = try SymmetricEigen(of: Matrix(rows: 2, columns: 2, rowMajor: [1, 2, 3, 1]))
        }
        for (rows, columns) in [(0, 1), (1, -1), (1 << 31, 1), (1, .max)] {
            expect(.invalidArgument, "\(rows) x \(columns)") { _ = try Matrix(rows: rows, columns: columns) }
        }
        expect(.outOfMemory) { _ = try Matrix(rows: 1 << 30, columns: 1 << 30) }
        expect(.shapeMismatch, "needs 6") { _ = try Matrix(rows: 2, columns: 3, rowMajor: [1]) }
        expect(.unsupported, "30000") { _ = try QR(of: Matrix(rows: 30_001, columns: 1)) }
        expect(.internalFault, "no eigenvalue driver") { _ = try SymmetricEigen(of: self.identity(2), drivers: []) }
    }
}
