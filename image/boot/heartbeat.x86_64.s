# Tells whoever started the enclave that it runs: connects to the address in the data, sends one byte
# and expects it back. The exit status is 0, or the number of the step that failed.
# Data: u32 length of the address, then the address (struct sockaddr).
        .globl  _start
_start: mov     $1, %r15d                       # 1: socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)
        movzwl  data+4(%rip), %edi
        mov     $0x80001, %esi
        xor     %edx, %edx
        mov     $41, %eax
        syscall
        test    %eax, %eax
        js      exit
        mov     %eax, %ebx
        inc     %r15d                           # 2: connect(fd, address, length)
        mov     %ebx, %edi
        lea     data+4(%rip), %rsi
        mov     data(%rip), %edx
        mov     $42, %eax
        syscall
        test    %eax, %eax
        jnz     exit
        inc     %r15d                           # 3: write(fd, "\xb7", 1)
        push    $-73
        mov     %ebx, %edi
        mov     %rsp, %rsi
        mov     $1, %edx
        mov     $1, %eax
        syscall
        cmp     $1, %eax
        jne     exit
        inc     %r15d                           # 4: read(fd, byte, 1)
        movb    $0, (%rsp)
        mov     %ebx, %edi
        mov     %rsp, %rsi
        mov     $1, %edx
        xor     %eax, %eax
        syscall
        cmp     $1, %eax
        jne     exit
        inc     %r15d                           # 5: is it the same byte?
        cmpb    $0xb7, (%rsp)
        jne     exit
        xor     %r15d, %r15d
exit:   mov     %r15d, %edi
        mov     $60, %eax
        syscall
        .balign 4, 0xcc
data:
