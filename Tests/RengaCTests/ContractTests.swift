// ContractTests.swift: the numbers that renga.h and the engine must agree on. The library itself is tested from outside (ABITests): it is
// linked with the static Swift runtime, which test bundles cannot be.
import CRengaAPI
import CRengaKernels
import RengaExecution
import RengaNetwork
import XCTest

final class ContractTests: XCTestCase {
    func testStatusValues() {
        let header: [(Status, renga_status)] = [
            (.invalidArgument, RENGA_ERROR_INVALID_ARGUMENT), (.shapeMismatch, RENGA_ERROR_SHAPE_MISMATCH),
            (.nullPointer, RENGA_ERROR_NULL_POINTER), (.outOfMemory, RENGA_ERROR_OUT_OF_MEMORY),
            (.fileError, RENGA_ERROR_FILE), (.corruptData, RENGA_ERROR_CORRUPT_DATA),
            (.unsupported, RENGA_ERROR_UNSUPPORTED), (.cancelled, RENGA_CANCELLED), (.busy, RENGA_ERROR_BUSY),
            (.notFinite, RENGA_ERROR_NOT_FINITE), (.notFound, RENGA_ERROR_NOT_FOUND),
            (.internalFault, RENGA_ERROR_INTERNAL),
        ]
        XCTAssertEqual(RENGA_OK.rawValue, 0)
        XCTAssertEqual(Set(header.map { $0.0 }), Set(Status.allCases))
        for (status, code) in header { XCTAssertEqual(UInt32(status.rawValue), code.rawValue, "\(status)") }
    }

    func testElementsAndLayouts() {
        XCTAssertEqual(UInt32(ImageElement.f32.rawValue), RENGA_F32.rawValue)
        XCTAssertEqual(UInt32(ImageElement.u8.rawValue), RENGA_U8.rawValue)
        XCTAssertEqual(UInt32(ImageLayout.nhwc.rawValue), RENGA_NHWC.rawValue)
        XCTAssertEqual(UInt32(ImageLayout.nchw.rawValue), RENGA_NCHW.rawValue)
    }

    /// The C face takes a code as an index into all cases.
    func testPrecisions() {
        XCTAssertEqual(Precision.allCases, [.f32, .bf16])
        XCTAssertEqual(RENGA_PRECISION_F32.rawValue, 0)
        XCTAssertEqual(RENGA_PRECISION_BF16.rawValue, 1)
    }

    func testBounds() {
        XCTAssertEqual(RENGA_MAX_THREADS, RK_MAX_THREADS)
        XCTAssertEqual(RENGA_MAX_MESSAGE, RK_MESSAGE_BYTES)
        XCTAssertEqual(Int(RENGA_MAX_EXTENT), Shape.largestExtent)
        XCTAssertEqual(Int(RENGA_MAX_ELEMENTS), Shape.mostElements)
        XCTAssertEqual(Int(RENGA_MAX_INPUTS), Network.mostInputs)
    }
}
