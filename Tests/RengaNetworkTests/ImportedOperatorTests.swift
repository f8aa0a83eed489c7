// ImportedOperatorTests: shape rules of the operators that imported networks bring, where they have something to say beyond their bounds.
import RengaNetwork
import TestSupport
import XCTest

final class ImportedOperatorTests: XCTestCase {
    private let map = Shape(n: 3, h: 4, w: 5, c: 6)

    private func make(_ name: String, _ attributes: String = "") throws -> any Operator {
        try OperatorTable.make(name, Attributes(text: attributes))
    }

    func testActivationsTakeTheirOwnDefaults() throws {
        let numbers: [(String, Double, Double)] = [
            ("leaky_relu", 0.01, 0), ("elu", 1, 0), ("hard_sigmoid", 0.2, 0.5), ("tanh", 0, 0),
            ("clip", -Activation.largestNumber, Activation.largestNumber),
        ]
        for (function, alpha, beta) in numbers {
            let op = try XCTUnwrap(try make("activation", "function=\(function)") as? Activation)
            XCTAssertEqual(op.alpha, alpha)
            XCTAssertEqual(op.beta, beta)
        }
        assertFails(.invalidArgument, "'function' must be given") { try self.make("activation") }
        assertFails(.invalidArgument, "'beta'") { try Activation(.clip, beta: .nan).outputShape([self.map]) }
        assertFails(.invalidArgument, "'alpha'") { try Activation(.elu, alpha: .infinity).outputShape([self.map]) }
    }

    func testBroadcasting() throws {
        let shapes: [(Shape, Shape)] = [
            (map, Shape(n: 3, h: 1, w: 1, c: 6)), (map, Shape(n: 3, h: 4, w: 5, c: 1)), (map, map),
            (Shape(n: 3, h: 1, w: 1, c: 1), map), (Shape(n: 3, h: 4, w: 1, c: 6), Shape(n: 3, h: 1, w: 5, c: 1)),
        ]
        for (a, b) in shapes { XCTAssertEqual(try Arithmetic(.divide).outputShape([a, b]), map) }
        for wrong in [
            Shape(n: 3, h: 4, w: 5, c: 2), Shape(n: 2, h: 4, w: 5, c: 6), Shape(n: 1, h: 4, w: 5, c: 6),
            Shape(n: 3, h: 3, w: 5, c: 6),
        ] {
            assertFails(.shapeMismatch, "equal, or 1") { try Arithmetic(.add).outputShape([self.map, wrong]) }
        }
        assertFails(.invalidArgument, "more than") {
            try Arithmetic(.add).outputShape([
                Shape(n: 1, h: 1 << 30, w: 1, c: 1), Shape(n: 1, h: 1, w: 1 << 20, c: 1),
            ])
        }
    }

    /// The transposed convolution's shape is what the convolution of the same window makes the source of.
    func testTransposedShapes() throws {
        var checked = 0
        for text in [
            "kernel=3", "kernel=2,stride=2", "kernel_h=3,kernel_w=5,stride_h=2,stride_w=3,pad_left=1,pad_bottom=2",
            "kernel=3,dilation=2,pad=1", "kernel=3,stride=2,pad=1,output_pad=1", "kernel=1,stride=3,output_pad_w=2",
            "kernel=3,stride=1,pad=2,output_pad=2", "kernel=3,stride=2,pad_top=1,pad_right=1,output_pad_h=1",
        ] {
            let attributes = try Attributes(text: text + ",channels=8,groups=2")
            let op = try ConvolutionTranspose(attributes: attributes)
            let dst = try op.outputShape([map])
            let back = try Convolution(channels: 6, window: op.mirrored, groups: 2, bias: false)
            XCTAssertEqual(try back.outputShape([dst]), map, text)
            XCTAssertEqual(try op.parameters([map])[0], try back.parameters([dst])[0], text)
            XCTAssertEqual(op.macs([map]), back.macs([dst]), text)
            checked += 1
        }
        XCTAssertEqual(checked, 8)
        XCTAssertEqual(
            try make("conv_transpose", "channels=2,kernel=3,stride_h=3,stride_w=2,output_pad=1").outputShape([
                Shape(n: 1, h: 3, w: 3, c: 1)
            ]), Shape(n: 1, h: 10, w: 8, c: 2))
        assertFails(.unsupported, "output_pad", "stride") {
            try self.make("conv_transpose", "channels=2,kernel=3,output_pad=1").outputShape([self.map])
        }
        assertFails(.shapeMismatch, "nothing") {
            try self.make("conv_transpose", "channels=2,kernel=1,pad=9").outputShape([self.map])
        }
        assertFails(.shapeMismatch, "groups=4") {
            try self.make("conv_transpose", "channels=4,kernel=1,groups=4").outputShape([self.map])
        }
    }

    func testPadSources() throws {
        let expected: [(Pad.Mode, [Int?])] = [
            (.constant, [nil, nil, nil, 0, 1, 2, nil, nil]), (.edge, [0, 0, 0, 0, 1, 2, 2, 2]),
            (.reflect, [1, 2, 1, 0, 1, 2, 1, 0]), (.wrap, [0, 1, 2, 0, 1, 2, 0, 1]),
        ]
        for (mode, sources) in expected {
            let pad = Pad(mode: mode)
            let ends = Pad.Ends(3, 2)
            XCTAssertEqual((0..<8).map { pad.source(of: $0, ends, size: 3) }, sources, "\(mode)")
            XCTAssertEqual((0..<2).map { pad.source(of: $0, Pad.Ends(-1, 0), size: 3) }, [1, 2])
        }
        XCTAssertEqual(Pad(mode: .reflect).source(of: 0, Pad.Ends(5, 0), size: 1), 0)
        XCTAssertEqual(try make("pad", "top=-3,left=-1").outputShape([map]), Shape(n: 3, h: 1, w: 4, c: 6))
        assertFails(.shapeMismatch, "nothing") { try self.make("pad", "before=-3,after=-3").outputShape([self.map]) }
        assertFails(.invalidArgument, "'left'") { try Pad(w: Pad.Ends(.min, 0)).outputShape([self.map]) }
        assertFails(.invalidArgument, "'value'") { try Pad(value: .nan).outputShape([self.map]) }
    }

    /// Against Python's own rule, written as it is defined: walk from start by step while inside.
    func testSlicesCountedOut() throws {
        var checked = 0
        for size in [1, 2, 5, 6] {
            for step in [-7, -3, -2, -1, 1, 2, 3, 7] {
                for start in [-Slice.farthest, -7, -3, -1, 0, 1, 4, 6, Slice.farthest] {
                    for end in [-Slice.farthest, -6, -2, -1, 0, 2, 5, Slice.farthest] {
                        let range = Slice.Range(start: start, end: end, step: step)
                        let lowest = step > 0 ? 0 : -1, highest = step > 0 ? size : size - 1
                        let first = min(max(start < 0 ? start + size : start, lowest), highest)
                        let last = min(max(end < 0 ? end + size : end, lowest), highest)
                        let places = Array(stride(from: first, to: last, by: step))
                        let resolved = range.resolved(size: size)
                        XCTAssertEqual(resolved.count, places.count, "\(range) of \(size)")
                        if let place = places.first { XCTAssertEqual(resolved.first, place) }
                        XCTAssertTrue(places.allSatisfy((0..<size).contains), "\(range) of \(size)")
                        checked += 1
                    }
                }
            }
        }
        XCTAssertEqual(checked, 4 * 8 * 9 * 8)
        assertFails(.shapeMismatch, "nothing") { try self.make("slice", "start_h=4").outputShape([self.map]) }
        assertFails(.invalidArgument, "'step_w' must not be 0") {
            try self.make("slice", "step_w=0").outputShape([self.map])
        }
        assertFails(.invalidArgument, "'end_c'") { try Slice(c: .init(end: .max)).outputShape([self.map]) }
    }

    func testResizedShapes() throws {
        let cases = [
            ("", 4, 5), ("scale_h=2,scale_w=3", 8, 15), ("scale_h=0.6,scale_w=0.6", 2, 3), ("height=7,width=1", 7, 1),
            ("height=7,scale_w=0.7", 7, 3), ("height=8,scale_h=1.9", 8, 5),
        ]
        for (text, h, w) in cases {
            XCTAssertEqual(try make("resize", text).outputShape([map]), Shape(n: 3, h: h, w: w, c: 6), text)
        }
        // 0.7 as a float is a little less: 10 times that is 7 in float, below 7 in double.
        XCTAssertEqual(
            try make("resize", "scale_h=\(Double(Float(0.7)))").outputShape([Shape(n: 1, h: 10, w: 1, c: 1)]).h, 7)
        assertFails(.shapeMismatch, "agree") { try self.make("resize", "height=7,scale_h=4").outputShape([self.map]) }
        assertFails(.shapeMismatch, "1...1048576") { try self.make("resize", "scale_h=0.2").outputShape([self.map]) }
        assertFails(.invalidArgument, "'scale_w'", "1/4096") {
            try self.make("resize", "scale_w=1e-12").outputShape([self.map])
        }
        assertFails(.invalidArgument, "'scale_h'") {
            try Resize(.linear, h: .init(scale: .nan), w: .init()).outputShape([self.map])
        }
    }
}
