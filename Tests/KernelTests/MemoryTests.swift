// MemoryTests: aligned memory, its pages, each thread's message buffer.
import CRengaKernels
import XCTest

final class MemoryTests: XCTestCase {
    func testMemoryIsAlignedAndRefusedSoftly() {
        for bytes in [0, 1, 63, 64, 65, 100_000] {
            let block = rk_alloc(bytes)
            XCTAssertNotNil(block)
            XCTAssertEqual(UInt(bitPattern: block) % UInt(RK_ALIGNMENT), 0)
            rk_free(block)
        }
        XCTAssertNil(rk_alloc(Int.max))
        XCTAssertNil(rk_alloc(Int(bitPattern: UInt.max)))
        rk_free(nil)
    }

    /// One byte of each whole huge page, whoever comes first; nothing behind the block.
    func testTouchedPages() throws {
        let (page, bytes, touched) = (2 << 20, 8 << 20, 7 << 20)
        let block = try XCTUnwrap(rk_alloc(bytes)).initializeMemory(as: UInt8.self, repeating: 7, count: bytes)
        defer { rk_free(block) }
        var args = rk_touch_args(block: block, bytes: touched)
        for threads in [1, 2, 3] as [Int32] {
            block.update(repeating: 7, count: bytes)
            withUnsafePointer(to: &args) { args in
                var step = rk_step(run: rk_touch, args: args, enabled: nil)
                XCTAssertEqual(rk_run(&step, 1, threads, nil, nil), 0)
            }
            for i in stride(from: 0, to: bytes, by: page / 2) {
                XCTAssertEqual(block[i], i % page == 0 && i + page <= touched ? 0 : 7, "byte \(i)")
            }
        }
    }

    func testMessageBufferIsTheThreadsOwn() {
        let mine = UInt(bitPattern: rk_message_buffer())
        XCTAssertEqual(mine, UInt(bitPattern: rk_message_buffer()))
        let differs = Spawned { UInt(bitPattern: rk_message_buffer()) != mine && rk_message_buffer()?[0] == 0 }
        XCTAssertEqual(differs?.join(), true)
    }
}
