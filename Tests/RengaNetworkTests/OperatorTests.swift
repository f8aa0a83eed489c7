// OperatorTests: shape rules, parameters and MACs of every operator but the windows' own arithmetic; options in and out.
import RengaNetwork
import TestSupport
import XCTest

final class OperatorTests: XCTestCase {
    private let map = Shape(n: 3, h: 4, w: 5, c: 6)

    private func make(_ name: String, _ attributes: String = "") throws -> any Operator {
        try OperatorTable.make(name, Attributes(text: attributes))
    }

    func testShapes() throws {
        let flat = Shape(n: 3, h: 1, w: 1, c: 7)
        let wide = Shape(n: 3, h: 4, w: 5, c: 2)
        let rules: [(String, String, [Shape], Shape)] = [
            ("linear", "channels=9", [flat], Shape(n: 3, h: 1, w: 1, c: 9)),
            ("batch_norm", "", [map], map), ("relu", "", [map], map), ("prelu", "", [map], map),
            ("softmax", "", [map], map), ("dropout", "rate=0.3", [map], map),
            ("stochastic_gate", "survival=0.3,split=4", [map], map),
            ("global_average_pool", "", [map], Shape(n: 3, h: 1, w: 1, c: 6)),
            ("flatten", "", [map], Shape(n: 3, h: 1, w: 1, c: 120)),
            ("add", "", [map, map, map], map), ("mean", "", [map], map),
            ("weighted_sum", "weights=0.5 -2; 1e3", [map, map, map], map),
            ("concat", "", [map, wide, wide], Shape(n: 3, h: 4, w: 5, c: 10)),
            ("channel_slice", "begin=2,count=4", [map], Shape(n: 3, h: 4, w: 5, c: 4)),
            ("channel_pad", "before=1,after=2", [map], Shape(n: 3, h: 4, w: 5, c: 9)),
            ("max_pool", "kernel=2,stride=2", [map], Shape(n: 3, h: 2, w: 2, c: 6)),
            ("average_pool", "kernel=2,stride=2,ceil_mode=yes", [map], Shape(n: 3, h: 2, w: 3, c: 6)),
            ("convolution", "channels=8,kernel_h=3,kernel_w=1,pad_top=1", [map], Shape(n: 3, h: 3, w: 5, c: 8)),
            ("activation", "function=clip,alpha=0,beta=6", [map], map), ("scale", "", [map], map),
            ("arithmetic", "function=multiply", [map, Shape(n: 3, h: 1, w: 1, c: 6)], map),
            ("conv_transpose", "channels=2,kernel=3,stride=2", [map], Shape(n: 3, h: 9, w: 11, c: 2)),
            ("global_max_pool", "", [map], Shape(n: 3, h: 1, w: 1, c: 6)), ("lrn", "size=5", [map], map),
            ("pad", "top=1,right=2,after=-1", [map], Shape(n: 3, h: 5, w: 7, c: 5)),
            ("slice", "start_h=1,step_w=2,end_c=-2", [map], Shape(n: 3, h: 3, w: 3, c: 4)),
            ("resize", "scale_h=2,width=3", [map], Shape(n: 3, h: 8, w: 3, c: 6)),
        ]
        XCTAssertEqual(Set(rules.map(\.0)), Set(OperatorTable.all.map { $0.name }), "every operator has a case")
        for (name, attributes, inputs, output) in rules {
            XCTAssertEqual(try make(name, attributes).outputShape(inputs), output, name)
        }
    }

    func testParameters() throws {
        let flat = Shape(n: 3, h: 1, w: 1, c: 7)
        XCTAssertEqual(
            try make("linear", "channels=9").parameters([flat]),
            [ParameterSpec("weight", .weight, [7, 9]), ParameterSpec("bias", .bias, [9])])
        XCTAssertEqual(
            try make("batch_norm").parameters([map]).map(\.name), ["gamma", "beta", "running_mean", "running_variance"])
        XCTAssertEqual(
            try make("batch_norm", "affine=no").parameters([map]).map(\.role), [.runningMean, .runningVariance])
        XCTAssertEqual(try make("prelu").parameters([map]), [ParameterSpec("slope", .slope, [6])])
        XCTAssertEqual(try make("linear", "channels=9").macs([flat]), 3 * 7 * 9)
        XCTAssertEqual(try make("add").macs([map, map]), 0)
    }

    func testShapesThatDoNotFit() {
        let other = Shape(n: 3, h: 4, w: 5, c: 7)
        assertFails(.shapeMismatch, "flat") { try self.make("linear", "channels=2").outputShape([self.map]) }
        assertFails(.shapeMismatch, "same shape") { try self.make("add").outputShape([self.map, other]) }
        assertFails(.shapeMismatch, "same shape") { try self.make("mean").outputShape([other, self.map]) }
        assertFails(.shapeMismatch, "same shape") {
            try self.make("weighted_sum", "weights=1 2").outputShape([other, self.map])
        }
        assertFails(.invalidArgument, "'weights'", "2 inputs", "got 3") {
            try self.make("weighted_sum", "weights=1 2 3").outputShape([self.map, self.map])
        }
        for wrong in ["weights=", "weights=1 two", "weights=1e7", "weights=nan"] {
            assertFails(.invalidArgument, "'weights'", "1 to 64 numbers") { try self.make("weighted_sum", wrong) }
        }
        assertFails(.shapeMismatch, "same shape") {
            try self.make("concat").outputShape([self.map, Shape(n: 3, h: 5, w: 5, c: 6)])
        }
        assertFails(.shapeMismatch, "channel 6 of only 6") {
            try self.make("channel_slice", "begin=5,count=2").outputShape([self.map])
        }
        assertFails(.shapeMismatch, "groups=4") {
            try self.make("convolution", "channels=8,kernel=1,groups=4").outputShape([self.map])
        }
        assertFails(.shapeMismatch, "groups=3", "channels=8") {
            try self.make("convolution", "channels=8,kernel=1,groups=3").outputShape([self.map])
        }
    }

    /// A wrong number of inputs is an error of the rule itself, not only of the network around it.
    func testWrongNumbersOfInputs() {
        for type in OperatorTable.all {
            guard let op = try? type.init(attributes: Self.required[type.name] ?? [:]) else {
                return XCTFail("\(type.name) cannot be made")
            }
            assertFails(.invalidArgument, "expected") { try op.outputShape([]) }
            XCTAssertEqual(op.macs([]), 0)
            assertFails(.invalidArgument) { try op.outputShape([Shape(n: 0, h: 1, w: 1, c: 1)]) }
            assertFails(.invalidArgument) { try op.outputShape([Shape(n: 1, h: .max, w: .max, c: .max)]) }
        }
    }

    private static let required: [String: Attributes] = [
        "convolution": ["channels": "4", "kernel": "1"], "linear": ["channels": "4"], "max_pool": ["kernel": "1"],
        "average_pool": ["kernel": "1"], "channel_slice": ["count": "1"], "weighted_sum": ["weights": "1"],
        "activation": ["function": "tanh"], "arithmetic": ["function": "divide"], "lrn": ["size": "3"],
        "conv_transpose": ["channels": "4", "kernel": "1"],
    ]

    func testSizesThatOverflow() {
        var builder = NetworkBuilder()
        assertFails(.invalidArgument, "layer 'wide'", "more than") {
            let input = try builder.addInput(h: 1 << 15, w: 1 << 15, c: 1)
            return try builder.add(Convolution(channels: 2048, window: Window(kernel: 1)), name: "wide", input)
        }
        assertFails(.invalidArgument, "weight", "more than") {
            try self.make("convolution", "channels=1000000,kernel=1000").parameters([
                Shape(n: 1, h: 1000, w: 1000, c: 1000)
            ])
        }
        let large = Convolution(channels: 1 << 20, window: Window(kernel: 1))
        XCTAssertEqual(large.macs([Shape(n: 1 << 10, h: 1 << 10, w: 1 << 10, c: 1 << 10)]), 1 << 60)
        let larger = Convolution(channels: 1 << 20, window: Window(kernel: 4096, pad: 4096))
        XCTAssertEqual(larger.macs([Shape(n: 1 << 10, h: 1 << 10, w: 1 << 10, c: 1 << 10)]), .max)
    }

    /// What an operator writes it reads back as itself, with defaults left out.
    func testEncodedAttributesRoundTrip() throws {
        let variants: [(String, String, Int)] = [
            ("convolution", "channels=8,kernel=3", 2),
            ("convolution", "channels=8,kernel=3,stride=1,pad=0,bias=yes", 2),
            ("convolution", "channels=8,kernel_h=3,kernel_w=5,stride_w=2,pad_left=1,dilation_h=2,groups=2,bias=no", 13),
            ("linear", "channels=3,bias=no", 2), ("batch_norm", "", 0),
            ("batch_norm", "epsilon=2e-05,momentum=0.01,mode=frozen_statistics,affine=no", 4),
            ("batch_norm", "mode=frozen", 1), ("max_pool", "kernel=3,stride=2,pad=1,ceil_mode=yes", 4),
            ("max_pool", "kernel=3,dilation=2", 2), ("average_pool", "kernel=3,count_include_pad=no,ceil_mode=yes", 3),
            ("channel_slice", "count=3", 2), ("channel_pad", "before=4", 1), ("dropout", "rate=0.1", 1),
            ("dropout", "", 0), ("relu", "", 0), ("concat", "", 0), ("softmax", "log=yes", 1), ("softmax", "", 0),
            ("flatten", "order=nchw", 1), ("flatten", "order=nhwc", 0), ("scale", "frozen=yes", 1),
            ("activation", "function=leaky_relu", 1), ("activation", "function=clip,beta=6", 2),
            ("activation", "function=hard_sigmoid,alpha=0.5,beta=0.6000000238418579", 3),
            ("arithmetic", "function=minimum", 1), ("lrn", "size=3,alpha=0.0001", 1), ("lrn", "size=3,bias=2", 2),
            ("conv_transpose", "channels=3,kernel=3,output_pad=1,stride=2", 4),
            ("conv_transpose", "channels=3,kernel=3,output_pad_h=1,stride=2,bias=no,groups=3", 7),
            ("pad", "top=-1,after=2,mode=edge", 3), ("pad", "value=-1e30", 1), ("slice", "start_h=-1,step_c=-2", 2),
            ("slice", "", 0), ("resize", "", 0), ("resize", "scale_h=2,scale_w=2,mode=linear", 3),
            ("resize", "height=7,coordinates=tf_crop_and_resize,crop_top=0.25,extrapolation=10", 4),
        ]
        for (name, text, count) in variants {
            let op = try make(name, text)
            XCTAssertEqual(op.encoded.count, count, "\(name) \(op.encoded)")
            let again = try OperatorTable.make(name, op.encoded)
            XCTAssertEqual(again.encoded, op.encoded)
            XCTAssertEqual("\(again)", "\(op)")
        }
    }
}
