// NumbersTests: number types of files against Swift's own conversions, all halves among them; axes of weights against the index formula.
import CRengaKernels
import XCTest

final class NumbersTests: XCTestCase {
    private func converted<Number>(_ numbers: [Number], _ type: rk_number) -> [Float] {
        XCTAssertEqual(Int(rk_number_bytes(type)), MemoryLayout<Number>.size)
        var dst = [Float](repeating: .nan, count: numbers.count)
        // One byte further than any number would stand.
        var bytes: [UInt8] = [0]
        numbers.withUnsafeBytes { bytes += Array($0) }
        bytes.withUnsafeBytes { bytes in
            rk_numbers_to_f32(type, bytes.baseAddress.map { $0 + 1 }, Int64(numbers.count), &dst)
        }
        return dst
    }

    private func check<Number: FixedWidthInteger>(_ type: rk_number, _: Number.Type) {
        var numbers: [Number] = [0, 1, 2, 100, .min, .max, .max / 2, .max / 3]
        for shift in 0..<Number.bitWidth { numbers += [.max >> shift, 1 << shift, (1 << shift) &+ 1] }
        XCTAssertEqual(converted(numbers, type), numbers.map { Float($0) }, "\(Number.self)")
    }

    func testWholeNumbers() {
        check(RK_NUMBER_I64, Int64.self)
        check(RK_NUMBER_I32, Int32.self)
        check(RK_NUMBER_I16, Int16.self)
        check(RK_NUMBER_I8, Int8.self)
        check(RK_NUMBER_U64, UInt64.self)
        check(RK_NUMBER_U32, UInt32.self)
        check(RK_NUMBER_U16, UInt16.self)
        check(RK_NUMBER_U8, UInt8.self)
        XCTAssertEqual(converted([0, 1, 2, 255] as [UInt8], RK_NUMBER_BOOL), [0, 1, 1, 1])
    }

    func testEveryHalf() {
        let halves = Array(0...UInt16.max)
        for (bits, value) in zip(halves, converted(halves, RK_NUMBER_F16)) {
            let exponent = Int(bits >> 10 & 31)
            let fraction = Double(bits & 1023) / 1024
            let sign: FloatingPointSign = bits >> 15 == 0 ? .plus : .minus
            if exponent == 31 {
                let infinity = Double(sign: sign, exponent: 0, significand: .infinity)
                XCTAssert(fraction == 0 ? Double(value) == infinity : value.isNaN, "\(bits)")
            } else {
                let significand = exponent == 0 ? fraction : 1 + fraction
                let expected = Double(sign: sign, exponent: max(exponent, 1) - 15, significand: significand)
                XCTAssertEqual(value.bitPattern, Float(expected).bitPattern, "\(bits)")
            }
        }
        for (bits, value) in zip(halves, converted(halves, RK_NUMBER_BF16)) {
            let expected = UInt32(bits) * 65536
            XCTAssertEqual(value.bitPattern, expected)
        }
    }

    func testWideNumbers() {
        let third: Double = 1.0 / 3
        let doubles: [Double] = [0, -0.0, third, -1e300, 1e-320, 3.4e38, -Double.infinity]
        let singles = doubles.map { Float($0).bitPattern }
        XCTAssertEqual(converted(doubles, RK_NUMBER_F64).map(\.bitPattern), singles)
        let floats: [Float] = [0, -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude, -.infinity]
        XCTAssertEqual(converted(floats, RK_NUMBER_F32).map(\.bitPattern), floats.map(\.bitPattern))
    }

    func testAxesOfWeights() {
        let cases: [(Int, Int, Int)] = [(1, 1, 1), (9, 3, 5), (4, 2, 16), (1, 7, 33), (25, 3, 17)]
        for (taps, c, k) in cases {
            let count: Int = taps * c * k
            var random = TestRandom(count)
            let src = random.floats(count)
            var outer = [Float](repeating: 0, count: src.count)
            rk_weights_outputs_first(src, Int64(taps), Int64(c), Int64(k), 0, Int64(k), &outer)
            for tap in 0..<taps {
                for input in 0..<c {
                    for output in 0..<k {
                        let (theirs, ours): (Int, Int) = (
                            (output * c + input) * taps + tap, (tap * c + input) * k + output
                        )
                        XCTAssertEqual(outer[theirs], src[ours])
                    }
                }
            }
            var back = [Float](repeating: 0, count: src.count)
            rk_weights_outputs_last(outer, Int64(taps), Int64(c), Int64(k), &back)
            XCTAssertEqual(back, src)
            let first: Int = k / 3
            let some = k - first
            var part = [Float](repeating: 0, count: some * c * taps)
            rk_weights_outputs_first(src, Int64(taps), Int64(c), Int64(k), Int64(first), Int64(some), &part)
            XCTAssertEqual(part, Array(outer[(first * c * taps)...]))
        }
    }
}
