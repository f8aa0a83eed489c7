// ResizeGoldenTests.swift: resized maps against ONNX's reference implementation, in every mode, rounding and kind of coordinates.
// Not here: how the vectors were made (Tests/golden/onnx_resize.py), gradients (GoldenTests: PyTorch's).
import RengaExecution
import RengaNetwork
import XCTest

final class ResizeGoldenTests: XCTestCase {
    func testResizesAreThoseOfONNX() throws {
        let golden = try GoldenFile("onnx_resize")
        XCTAssertEqual(golden.metadata.count, 174)
        for (index, text) in golden.metadata {
            let (from, to) = (try golden.dimensions("src.\(index)"), try golden.dimensions("dst.\(index)"))
            var builder = NetworkBuilder()
            let input = try builder.addInput(h: from[1], w: from[2], c: from[3])
            let output = try builder.add(operator: "resize", Attributes(text: text), sources: [input])
            let session = try Session(builder.build(outputs: [output]), SessionOptions())
            XCTAssertEqual(session.outputShapes[0], Shape(n: 1, h: to[1], w: to[2], c: to[3]), text)
            let wanted = try golden.floats("dst.\(index)")
            var found = [Float](repeating: .nan, count: session.outputShapes[0].count)
            try golden.floats("src.\(index)").withUnsafeBytes { src in
                try found.withUnsafeMutableBufferPointer { dst in
                    let image = InputView(data: try XCTUnwrap(src.baseAddress), shape: session.inputShapes[0])
                    let result = OutputView(data: try XCTUnwrap(dst.baseAddress), count: dst.count)
                    try session.run([image], outputs: [result], n: 1)
                }
            }
            let worst = zip(found, wanted).map { abs($0 - $1) }.max() ?? .infinity
            XCTAssertLessThanOrEqual(worst, 5e-6, text)
        }
    }
}
