// TensorTests.swift: tensors that share memory are values all the same.
// Not here: what parameters are (NetworkTests).
import RengaNetwork
import XCTest

final class TensorTests: XCTestCase {
    func testTensorsMadeTogetherAreIndependentValues() throws {
        let sizes = [[3, 5], [0, 4], [], [17], [1 << 22], [6]]
        var tensors = try Tensor.together(sizes) { values in
            XCTAssertEqual(values.map(\.count), [15, 0, 1, 17, 1 << 22, 6])
            for (index, values) in values.enumerated() { values.update(repeating: Float(index)) }
        }
        XCTAssertEqual(tensors.map(\.dimensions), sizes)
        for (index, tensor) in tensors.enumerated() {
            tensor.withUnsafeValues { values in
                XCTAssertTrue(values.allSatisfy { $0 == Float(index) }, "\(sizes[index])")
                XCTAssertEqual(values.baseAddress.map { Int(bitPattern: $0) % 64 }, 0)
            }
        }
        let copy = tensors[0]
        tensors[0].withUnsafeMutableValues { $0.update(repeating: 9) }
        XCTAssertEqual(copy.values, Array(repeating: 0, count: 15))
        XCTAssertEqual(tensors[0].values, Array(repeating: 9, count: 15))
        let last = tensors[5]
        tensors = []
        XCTAssertEqual(last.values, Array(repeating: 5, count: 6))
        XCTAssertTrue(try Tensor.together([]) { XCTAssertTrue($0.isEmpty) }.isEmpty)
        XCTAssertThrowsError(try Tensor.together([[1], [1 << 30, 1 << 30]]) { _ in XCTFail("nothing to fill") })
    }
}
