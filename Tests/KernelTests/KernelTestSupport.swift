// KernelTestSupport: what every kernel test stands on: reproducible numbers, buffers that notice writes outside, and running a step.
// Not here: any operator.
import CRengaKernels
import Glibc
import XCTest

/// The instruction sets that this machine can run, the reference twin first.
let supportedSets: [rk_isa] = [
    RK_ISA_REFERENCE, RK_ISA_GENERIC, RK_ISA_AVX2, RK_ISA_AVX512, RK_ISA_AVX512_BF16, RK_ISA_AMX,
].filter { rk_isa_supported($0) != 0 }

/// The sets whose kernels are compared with the reference twin. The two above AVX-512 differ from it in convolutions of bf16 alone.
let fastSets = supportedSets.filter { $0 != RK_ISA_REFERENCE && $0.rawValue <= RK_ISA_AVX512.rawValue }

/// The same for convolutions of bf16.
let halfSets = Array(supportedSets.dropFirst())

let elementTypes: [rk_type] = [RK_F32, RK_BF16]

/// Team sizes that must all give the same bits.
let teamSizes: [Int32] = [1, 2, 3, 5]

extension rk_isa {
    var label: String { String(cString: rk_isa_name(self)) }
}

/// A reproducible stream of numbers (SplitMix64): the same seed gives the same test data everywhere.
struct TestRandom {
    private var state: UInt64

    init(_ seed: Int) { state = UInt64(bitPattern: Int64(seed)) &* 0x9E37_79B9_7F4A_7C15 }

    mutating func word() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Uniform in [low, high).
    mutating func float(_ low: Float = -1, _ high: Float = 1) -> Float {
        low + (high - low) * Float(word() >> 40) / Float(1 << 24)
    }

    mutating func floats(_ count: Int, _ low: Float = -1, _ high: Float = 1) -> [Float] {
        (0..<count).map { _ in float(low, high) }
    }

    /// Uniform in [0, bound).
    mutating func index(_ bound: Int) -> Int { Int(word() % UInt64(bound)) }
}

/// Memory as the engine allocates it, with known bytes on both sides: a kernel that writes outside is found out.
///
/// The end of the values touches the guard directly, so that a write of one float too many is seen.
final class Guarded<Element: BitwiseCopyable> {
    let count: Int
    /// The first value; aligned to `RK_ALIGNMENT` unless `misaligned`.
    let pointer: UnsafeMutablePointer<Element>
    private let block: UnsafeMutableRawPointer
    private let front: Int
    private let total: Int
    private static var guardByte: UInt8 { 0xA5 }

    /// - Parameter misaligned: shifts the values by one element off the alignment, as a slice of a host's array may be.
    init(_ values: [Element], misaligned: Bool = false) {
        let stride = MemoryLayout<Element>.stride
        count = values.count
        front = 4 * Int(RK_ALIGNMENT) + (misaligned ? stride : 0)
        total = front + values.count * stride + 4 * Int(RK_ALIGNMENT)
        guard let memory = rk_alloc(total) else {
            XCTFail("no memory for a test buffer")
            block = UnsafeMutableRawPointer.allocate(byteCount: total, alignment: Int(RK_ALIGNMENT))
            pointer = block.advanced(by: front).assumingMemoryBound(to: Element.self)
            return
        }
        block = memory
        block.initializeMemory(as: UInt8.self, repeating: Self.guardByte, count: total)
        pointer = block.advanced(by: front).bindMemory(to: Element.self, capacity: max(1, values.count))
        values.withUnsafeBufferPointer { source in
            if let first = source.baseAddress { pointer.update(from: first, count: source.count) }
        }
    }

    convenience init(count: Int, repeating value: Element, misaligned: Bool = false) {
        self.init([Element](repeating: value, count: count), misaligned: misaligned)
    }

    deinit { rk_free(block) }

    var values: [Element] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

    /// For an argument that reads only.
    var readable: UnsafePointer<Element> { UnsafePointer(pointer) }

    /// The same for arguments that take maps of any element type.
    var map: UnsafeRawPointer { UnsafeRawPointer(pointer) }
    var mutableMap: UnsafeMutableRawPointer { UnsafeMutableRawPointer(pointer) }

    var isIntact: Bool {
        let bytes = UnsafeRawBufferPointer(start: block, count: total)
        let end = front + count * MemoryLayout<Element>.stride
        return bytes[..<front].allSatisfy { $0 == Self.guardByte } && bytes[end...].allSatisfy { $0 == Self.guardByte }
    }
}

typealias Floats = Guarded<Float>

extension Float {
    /// Upper half of the bits, rounded to the nearest, ties to even; a NaN stays one.
    var halfBits: UInt16 {
        if isNaN { return UInt16(bitPattern >> 16) | 0x40 }
        return UInt16((UInt64(bitPattern) + 0x7FFF + UInt64(bitPattern >> 16 & 1)) >> 16)
    }

    init(halfBits: UInt16) { self = Float(bitPattern: UInt32(halfBits) << 16) }
}

/// A map of either element type between guards; its values are seen as floats.
final class TestMap {
    let type: rk_type
    private let floats: Floats
    private let halves: Guarded<UInt16>

    init(_ values: [Float], _ type: rk_type, misaligned: Bool = false) {
        self.type = type
        floats = Floats(type == RK_F32 ? values : [], misaligned: misaligned)
        halves = Guarded(type == RK_BF16 ? values.map(\.halfBits) : [], misaligned: misaligned)
    }

    convenience init(count: Int, _ type: rk_type, repeating value: Float, misaligned: Bool = false) {
        self.init([Float](repeating: value, count: count), type, misaligned: misaligned)
    }

    var readable: UnsafeRawPointer { UnsafeRawPointer(pointer) }
    var pointer: UnsafeMutableRawPointer { type == RK_F32 ? floats.mutableMap : halves.mutableMap }
    var values: [Float] { type == RK_F32 ? floats.values : halves.values.map { Float(halfBits: $0) } }
    var isIntact: Bool { floats.isIntact && halves.isIntact }
}

/// Also what keeps maps alive until here.
func assertIntact(
    _ maps: [TestMap], _ what: @autoclosure () -> String = "", file: StaticString = #filePath, line: UInt = #line
) {
    if !maps.allSatisfy(\.isIntact) { XCTFail("\(what()): wrote outside a buffer", file: file, line: line) }
}

/// Calls `body` for each fast set and team size, with a name of the two for messages.
func forEachSetAndTeam(_ body: (rk_isa, Int32, String) -> Void) {
    for isa in fastSets {
        for threads in teamSizes { body(isa, threads, "\(isa.label), \(threads) threads") }
    }
}

/// Runs one step on a team and returns what `rk_run` returned.
@discardableResult
func runStep<Arguments>(
    _ function: @escaping @convention(c) (UnsafeRawPointer?, UnsafePointer<rk_team>?) -> Void,
    _ arguments: Arguments, threads: Int32 = 1
) -> Int32 {
    withUnsafePointer(to: arguments) { pointer in
        var step = rk_step(run: function, args: UnsafeRawPointer(pointer), enabled: nil)
        return rk_run(&step, 1, threads, nil, nil)
    }
}

/// The largest difference relative to the larger of 1 and the expected value; infinite where only one side is NaN.
func worstDifference(_ found: [Float], _ expected: [Float]) -> Double {
    guard found.count == expected.count else { return .infinity }
    // Raw pointers and a plain loop: tests run without optimisation.
    return found.withUnsafeBufferPointer { f in
        expected.withUnsafeBufferPointer { e in
            guard let left = f.baseAddress, let right = e.baseAddress else { return 0 }
            var worst: Float = 0
            var i = 0
            let count = f.count
            while i < count {
                let (l, r) = (left[i], right[i])
                i += 1
                if l == r || l.isNaN && r.isNaN { continue }
                let difference = (l - r).magnitude / (r.magnitude > 1 ? r.magnitude : 1)
                if difference.isNaN { return .infinity }
                if difference > worst { worst = difference }
            }
            return Double(worst)
        }
    }
}

func assertClose(
    _ found: [Float], _ expected: [Float], _ tolerance: Double, _ what: @autoclosure () -> String = "",
    file: StaticString = #filePath, line: UInt = #line
) {
    let worst = worstDifference(found, expected)
    if !(worst <= tolerance) { XCTFail("\(what()): differs by \(worst)", file: file, line: line) }
}

func assertSameBits(
    _ found: [Float], _ expected: [Float], _ what: @autoclosure () -> String = "",
    file: StaticString = #filePath, line: UInt = #line
) {
    let same = found.withUnsafeBytes { f in
        expected.withUnsafeBytes { e in
            guard let left = f.baseAddress, let right = e.baseAddress else { return f.count == e.count }
            return f.count == e.count && memcmp(left, right, f.count) == 0
        }
    }
    if !same { XCTFail("\(what()): not the same bits", file: file, line: line) }
}

/// Also what keeps buffers alive until here: ask it of every buffer that a step was given a pointer to.
func assertIntact<Element>(
    _ buffers: [Guarded<Element>], _ what: @autoclosure () -> String = "",
    file: StaticString = #filePath, line: UInt = #line
) {
    if !buffers.allSatisfy(\.isIntact) { XCTFail("\(what()): wrote outside a buffer", file: file, line: line) }
}

/// Checks gradients by central differences of `loss` at some elements of `point`.
///
/// - Parameters:
///   - gradients: what each kernel found, with its name; all of them belong to the same point.
///   - step: the difference; elements where the loss is not smooth (its two one-sided slopes disagree) are skipped, but not more
///     than a third of them.
///   - tolerance: relative to the larger of 1 and the slope.
func assertGradients(
    _ gradients: [(name: String, values: [Float])], at point: [Float], step: Float = 4e-3, tolerance: Double = 5e-3,
    samples: Int = 40, _ what: String, file: StaticString = #filePath, line: UInt = #line, loss: ([Float]) -> Double
) {
    let middle = loss(point)
    var skipped = 0
    let picked = Array(stride(from: 0, to: point.count, by: max(1, point.count / samples)))
    for i in picked {
        var up = point
        var down = point
        up[i] += step
        down[i] -= step
        let (above, below) = (loss(up), loss(down))
        let width = Double(up[i]) - Double(down[i])
        let slope = (above - below) / width
        let allowed = tolerance * max(1, abs(slope))
        // A kink between the two points makes the slope wrong by half of this.
        if abs((above - middle) - (middle - below)) / (width / 2) > allowed {
            skipped += 1
            continue
        }
        for (name, values) in gradients where !(abs(slope - Double(values[i])) <= allowed) {
            XCTFail("\(what), \(name): element \(i) is \(values[i]), the slope is \(slope)", file: file, line: line)
            return
        }
    }
    XCTAssertLessThanOrEqual(skipped * 3, picked.count, "\(what): too few smooth elements", file: file, line: line)
}
