// ImportedIdentityTests: what mathematics says of the operators that imported networks brought: there and back is nothing, whole = parts,
// a transposed convolution is the adjoint of its convolution. Not here: their values (golden vectors, the interpreter).
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

final class ImportedIdentityTests: XCTestCase {
    /// The outputs of the layers that `make` puts behind an input of 7x6x5, for two images.
    private func run(
        _ images: [Float], h: Int = 7, w: Int = 6, c: Int = 5, _ make: (inout Layers) throws -> [ValueID]
    ) throws -> [[Float]] {
        var layers = try Layers(h: h, w: w, c: c)
        let outputs = try make(&layers)
        return try run(layers.network(outputs), images)
    }

    private func run(_ network: Network, _ images: [Float]) throws -> [[Float]] {
        var options = SessionOptions()
        (options.batch, options.threads) = (2, 2)
        return try Session(network, options).run([images], n: 2)
    }

    private func images(_ countPerImage: Int = 7 * 6 * 5, seed: UInt64 = 1) -> [Float] {
        var random = TestRandom(seed)
        return random.floats(2 * countPerImage, -3, 3)
    }

    func testPadThenSliceIsNothing() throws {
        let images = images()
        for mode in ["constant", "reflect", "edge", "wrap"] {
            let result = try run(images) { layers in
                try layers.add(
                    "pad", ["top": "2", "bottom": "1", "left": "3", "right": "2", "mode": mode, "value": "9"])
                return [
                    try layers.add("slice", ["start_h": "2", "end_h": "-1", "start_w": "3", "end_w": "-2"])
                ]
            }
            XCTAssertEqual(result[0], images, mode)
        }
        let channels = try run(images) { layers in
            try layers.add("pad", ["before": "2", "after": "4", "value": "-1"])
            return [try layers.add("pad", ["before": "-2", "after": "-4"])]
        }
        XCTAssertEqual(channels[0], images, "channels padded and cropped")
    }

    func testMirroredTwiceIsNothing() throws {
        let images = images()
        let back: Attributes = [
            "start_h": "-1", "end_h": "\(Int32.min)", "step_h": "-1", "start_c": "-1", "end_c": "\(Int32.min)",
            "step_c": "-1",
        ]
        let result = try run(images) { layers in
            let once = try layers.add("slice", back)
            return [try layers.add("slice", back), once]
        }
        XCTAssertEqual(result[0], images)
        XCTAssertNotEqual(result[1], images)
    }

    func testSlicesTogetherAreTheWhole() throws {
        let images = images()
        let result = try run(images) { layers in
            let whole = layers.last
            let parts = try [("0", "2"), ("2", "3"), ("3", "5")].map { start, end in
                try layers.add("slice", ["start_c": start, "end_c": end], from: [whole])
            }
            return [try layers.add("concat", from: parts)]
        }
        XCTAssertEqual(result[0], images)
    }

    func testResizeToTheSameSizeIsNothing() throws {
        let images = images()
        for mode in ["nearest", "linear", "cubic"] {
            for coordinates in ["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"] {
                let result = try run(images) { layers in
                    [try layers.add("resize", ["mode": mode, "coordinates": coordinates, "height": "7", "width": "6"])]
                }
                XCTAssertEqual(result[0], images, "\(mode), \(coordinates)")
            }
        }
    }

    /// Twice as large by repetition, then every second pixel.
    func testEnlargedAndThinnedOutIsNothing() throws {
        let images = images()
        let result = try run(images) { layers in
            try layers.add("resize", ["scale_h": "2", "scale_w": "3"])
            return [try layers.add("slice", ["step_h": "2", "step_w": "3"])]
        }
        XCTAssertEqual(result[0], images)
    }

    /// <conv(x), y> = <x, conv_transpose(y)> with the same weights, for strides, dilations, pads and groups.
    func testTransposedConvolutionIsTheAdjoint() throws {
        let forms: [(attributes: Attributes, outputPad: Int)] = [
            (["kernel": "3", "pad": "1"], 0), (["kernel": "3", "stride": "2", "pad": "1"], 0),
            (["kernel": "3", "stride": "2", "pad": "1"], 1), (["kernel": "2", "stride": "2"], 0),
            (["kernel": "3", "dilation": "2", "pad": "2", "groups": "2"], 0), (["kernel": "1"], 0),
        ]
        for (form, outputPad) in forms {
            let what = "\(form), output_pad \(outputPad)"
            // An extent at which the strided convolution leaves over exactly the rows that output_pad adds again.
            let extent = form["stride"] == nil ? 7 : outputPad == 1 || form["kernel"] == "2" ? 8 : 7
            var forward = try Layers(h: extent, w: extent, c: 4)
            try forward.add("convolution", form.merging(["channels": "6", "bias": "no"]) { $1 })
            let convolution = try forward.network()
            let shape = try XCTUnwrap(convolution.shapes(n: 2).last)

            var backward = try Layers(h: shape.h, w: shape.w, c: 6)
            try backward.add(
                "conv_transpose",
                form.merging(["channels": "4", "bias": "no", "output_pad": "\(outputPad)"]) { $1 })
            var transposed = try backward.network()
            let name = try XCTUnwrap(convolution.parameterNames.first)
            let weight = try XCTUnwrap(convolution.parameters[name]).tensor
            try transposed.setParameter(XCTUnwrap(transposed.parameterNames.first), weight)

            let x = images(extent * extent * 4), y = images(shape.h * shape.w * 6, seed: 2)
            let (ax, ty) = (try run(convolution, x)[0], try run(transposed, y)[0])
            XCTAssertEqual(ax.count, y.count, what)
            XCTAssertEqual(ty.count, x.count, what)
            let size = zip(ax, y).map { abs(Double($0) * Double($1)) }.reduce(0, +)
            XCTAssertEqual(dot(ax, y), dot(x, ty), accuracy: 2e-6 * size, what)
        }
    }

    private func dot(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).map { Double($0) * Double($1) }.reduce(0, +) }

    /// Maximum and minimum together hold what went in; products divided by one factor are the other.
    func testArithmeticUndoesItself() throws {
        let images = images()
        let result = try run(images) { layers in
            let x = layers.last
            let y = try layers.add("activation", ["function": "sigmoid"], from: [x])
            let most = try layers.add("arithmetic", ["function": "maximum"], from: [x, y])
            let least = try layers.add("arithmetic", ["function": "minimum"], from: [x, y])
            let sum = try layers.add("add", from: [most, least])
            let whole = try layers.add("arithmetic", ["function": "subtract"], from: [sum, y])
            let product = try layers.add("arithmetic", ["function": "multiply"], from: [x, y])
            return [whole, try layers.add("arithmetic", ["function": "divide"], from: [product, y])]
        }
        assertClose(result[0], images, absolute: 2e-6, relative: 1e-6, "maximum + minimum - y = x")
        assertClose(result[1], images, absolute: 2e-6, relative: 1e-6, "x y / y = x")
    }

    func testLogSoftmaxIsTheLogarithm() throws {
        let result = try run(images()) { layers in
            let x = layers.last
            return [
                try layers.add("softmax", from: [x]), try layers.add("softmax", ["log": "yes"], from: [x]),
            ]
        }
        assertClose(result[1].map { exp($0) }, result[0], absolute: 1e-6, relative: 1e-5, "exp of the logarithm")
    }
}
