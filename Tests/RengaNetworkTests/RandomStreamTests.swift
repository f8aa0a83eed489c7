// RandomStreamTests: Philox against its published answers, independence of streams, the laws of what is drawn.
import TestSupport
import XCTest

@testable import RengaNetwork

final class RandomStreamTests: XCTestCase {
    /// Known answers of Philox4x32-10 (Random123, kat_vectors).
    func testPhiloxGivesThePublishedWords() {
        XCTAssertEqual(
            RandomStream.philox(key: 0, counterLow: 0, counterHigh: 0),
            SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
        XCTAssertEqual(
            RandomStream.philox(key: .max, counterLow: .max, counterHigh: .max),
            SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
        XCTAssertEqual(
            RandomStream.philox(
                key: 0x299f_31d0_a409_3822, counterLow: 0x85a3_08d3_243f_6a88, counterHigh: 0x0370_7344_1319_8a2e),
            SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
    }

    func testPositionGoesAnywhere() {
        var whole = RandomStream(seed: 5, purpose: .shuffling, stream: 9)
        let words = (0..<37).map { _ in whole.word() }
        XCTAssertEqual(whole.position, 37)
        for start in [0, 1, 3, 4, 21, 36] {
            var part = RandomStream(seed: 5, purpose: .shuffling, stream: 9, position: UInt64(start))
            XCTAssertEqual(part.word(), words[start])
        }
    }

    func testStreamsDifferBySeedPurposeAndStream() {
        let streams = [
            RandomStream(seed: 1, purpose: .initialisation), RandomStream(seed: 2, purpose: .initialisation),
            RandomStream(seed: 1, purpose: .gates), RandomStream(seed: 1, purpose: .initialisation, stream: 1),
        ]
        let beginnings = streams.map { stream in
            var stream = stream
            return (0..<4).map { _ in stream.word() }
        }
        XCTAssertEqual(Set(beginnings).count, streams.count)
    }

    /// Values of Python's statistics.NormalDist().inv_cdf, the same algorithm with another logarithm.
    func testQuantileOfTheNormal() {
        let known: [(Double, Double)] = [
            (1e-9, -5.9978070150076865), (0.001, -3.090232306167813), (0.05, -1.6448536269514726),
            (0.2, -0.8416212335729142), (0.5, 0), (0.6, 0.2533471031357998), (0.93, 1.4757910281791708),
            (0.99999, 4.26489079392384), (1e-14, -7.650628), (1e-13, -7.348796),
        ]
        for (p, x) in known {
            assertClose(NormalDistribution.quantile(p), x, tolerance: p < 1e-12 ? 1e-5 : 1e-14 * max(1, x.magnitude))
        }
    }

    func testMomentsOfWhatIsDrawn() {
        var stream = RandomStream(seed: 3, purpose: .augmentation)
        let count = 40_000
        let normals = (0..<count).map { _ in stream.normal() }
        let uniforms = (0..<count).map { _ in Double(stream.uniform()) }
        // Tolerances are four standard errors.
        assertClose(mean(normals), 0, tolerance: 0.02)
        assertClose(mean(normals.map { $0 * $0 }), 1, tolerance: 0.03)
        assertClose(mean(normals.map { $0 * $0 * $0 * $0 }), 3, tolerance: 0.2)
        assertClose(mean(uniforms), 0.5, tolerance: 0.006)
        assertClose(mean(uniforms.map { ($0 - 0.5) * ($0 - 0.5) }), 1.0 / 12, tolerance: 0.002)
        XCTAssertTrue(uniforms.allSatisfy { $0 >= 0 && $0 < 1 })
    }

    func testPermutationsArePermutationsAndAllComeUp() {
        var stream = RandomStream(seed: 11, purpose: .shuffling)
        XCTAssertEqual(stream.permutation(0), [])
        XCTAssertEqual(stream.permutation(1), [0])
        XCTAssertEqual(stream.permutation(1000).sorted(), Array(0..<1000))
        var counts: [[UInt32]: Int] = [:]
        for _ in 0..<6000 { counts[stream.permutation(3), default: 0] += 1 }
        XCTAssertEqual(counts.count, 6)
        for count in counts.values { assertClose(Double(count), 1000, tolerance: 120) }
    }

    func testIntegersStayBelowTheirBound() {
        var stream = RandomStream(seed: 1, purpose: .gates)
        XCTAssertEqual(stream.integer(below: 0), 0)
        XCTAssertEqual(stream.integer(below: 1), 0)
        XCTAssertTrue((0..<1000).allSatisfy { _ in stream.integer(below: 7) < 7 })
    }

    private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
}
