// ChecksumTests: CRC-32C by the processor's instruction against the portable twin, the published values, and pieces put together.
import CRengaKernels
import XCTest

final class ChecksumTests: XCTestCase {
    private func checksum(_ bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBytes { rk_crc32c(0, $0.baseAddress, $0.count) }
    }

    func testPublishedValues() {
        // RFC 3720, B.4.
        XCTAssertEqual(checksum([UInt8](repeating: 0, count: 32)), 0x8A91_36AA)
        XCTAssertEqual(checksum([UInt8](repeating: 255, count: 32)), 0x62A8_AB43)
        XCTAssertEqual(checksum((0..<32).map { UInt8($0) }), 0x46DD_794E)
        XCTAssertEqual(checksum(Array("123456789".utf8)), 0xE306_9283)
        XCTAssertEqual(checksum([]), 0)
    }

    /// Lengths about every threshold, at every alignment.
    func testInstructionAndTablesAgree() {
        var random = TestRandom(5)
        let bytes = random.floats(20_000).flatMap { withUnsafeBytes(of: $0.bitPattern, Array.init) }
        bytes.withUnsafeBytes { all in
            for length in Array(0..<70) + [
                1023, 1024, 1025, 1279, 1280, 1281, 4097, 16_383, 16_384, 16_385, 16_407, 24_001, 65_537, 79_991,
            ] {
                for offset in 0..<8 {
                    let base = all.baseAddress.map { $0 + offset }
                    let crc = UInt32(length * 977 + offset)
                    XCTAssertEqual(
                        rk_crc32c(crc, base, length), rk_crc32c_portable(crc, base, length), "\(length) at \(offset)")
                }
            }
        }
    }

    func testPiecesJoin() {
        var random = TestRandom(6)
        let bytes = random.floats(9000).flatMap { withUnsafeBytes(of: $0.bitPattern, Array.init) }
        for cut in [0, 1, 7, 8, 4096, 17_001, 35_999, 36_000] {
            let (first, second) = (Array(bytes[..<cut]), Array(bytes[cut...]))
            XCTAssertEqual(
                rk_crc32c_join(checksum(first), checksum(second), UInt64(second.count)), checksum(bytes), "\(cut)")
        }
    }

    func testEveryFlippedBitIsFound() {
        var bytes = (0..<40).map { UInt8($0 * 5) }
        let whole = checksum(bytes)
        for bit in 0..<320 {
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            XCTAssertNotEqual(checksum(bytes), whole)
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        }
    }

    func testColumnsAreScaledInDouble() {
        var random = TestRandom(7)
        for (rows, k) in [(1, 1), (3, 5), (700, 19)] {
            let (src, factors) = (random.floats(rows * k), random.floats(k).map { Double($0) * 1.000_000_1 })
            let expected = src.enumerated().map { Float(Double($1) * factors[$0 % k]) }
            for threads in teamSizes {
                let (x, y) = (Floats(src), Floats(count: rows * k, repeating: .nan))
                factors.withUnsafeBufferPointer { scale in
                    let args = rk_scale_columns_args(
                        rows: Int64(rows), k: Int64(k), src: x.readable, scale: scale.baseAddress, dst: y.pointer)
                    runStep(rk_scale_columns, args, threads: threads)
                }
                assertSameBits(y.values, expected, "\(rows)x\(k), \(threads) threads")
            }
        }
    }
}
